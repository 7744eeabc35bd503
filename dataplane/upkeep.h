// Upkeep: what a worker does between bursts, in bounded steps: expired flows, new timeouts, and
// the sweep that ends the flows of a `--existing reset`. (Packets of such flows are answered at
// once, swept or not; the sweep is for those that are silent.) One worker.
#pragma once

#include <cstdint>

#include "dataplane/model/snapshot.h"
#include "dataplane/worker_state.h"

namespace sluice::dataplane {

class Upkeep {
 public:
  /// Records looked at in one step, per family.
  static constexpr uint32_t expire_budget = 64;
  static constexpr uint32_t sweep_budget = 256;

  /// Once for each new snapshot, before its first burst. Starts a sweep when it asks for resets
  /// that no earlier one asked for.
  void take_up(const model::Snapshot& snapshot, WorkerState& state);

  /// One step. True when more waits already, so that the worker should not sleep.
  bool step(const model::Snapshot& snapshot, WorkerState& state, uint32_t now_tick);

  bool sweeping() const { return sweep_v4_ != flow::no_flow || sweep_v6_ != flow::no_flow; }

 private:
  uint64_t swept_before_ = 0;  // the newest reset that was swept, or is being swept
  uint32_t sweep_v4_ = flow::no_flow;
  uint32_t sweep_v6_ = flow::no_flow;
};

}  // namespace sluice::dataplane

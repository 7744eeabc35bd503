// FlowListing: one page of `sluice flows`, made by the worker that owns the flows, in bounded
// steps between its bursts. ctrl allocates the page, the worker only fills it in.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "dataplane/base/clock.h"
#include "dataplane/engine.h"
#include "dataplane/worker_state.h"

namespace sluice::dataplane {

/// Where a listing goes on: worker, family and record of FlowQuery::cursor.
struct FlowCursor {
  uint16_t worker = 0;
  bool is_v6 = false;
  uint32_t record = 0;

  static FlowCursor decode(uint64_t cursor);
  /// Never 0.
  uint64_t encode() const;
};

class FlowListing {
 public:
  static constexpr uint32_t limit_max = 4096;
  /// Records looked at in one step.
  static constexpr uint32_t step_budget = 512;

  /// ctrl: `query.limit` rows of memory, at least 1 and at most limit_max.
  FlowListing(const FlowQuery& query, unsigned workers);

  /// The worker whose flows this page lists.
  uint16_t worker() const { return at_.worker; }

  /// That worker. True when the page is complete. `revision`: of the snapshot that it serves.
  bool step(WorkerState& state, uint64_t revision, uint32_t now_tick);

  /// ctrl, afterwards.
  FlowPage take_page();

 private:
  template <typename Tuple>
  uint32_t scan(WorkerState& state, uint64_t revision, uint32_t now_tick);
  bool is_full() const { return count_ == rows_.size(); }

  FlowQuery query_;
  unsigned workers_;
  FlowCursor at_;
  bool complete_ = false;  // this worker has no more
  uint32_t count_ = 0;
  std::vector<FlowInfo> rows_;
};

}  // namespace sluice::dataplane

// SwapRun: publishes prepared snapshots at a given rate and says how long each took to be served by
// every worker, and whether the kernel had taken a worker's core away meanwhile.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "dataplane/engine.h"
#include "perf/dut_snapshot.h"

namespace sluice::perf {

class SwapRun {
 public:
  SwapRun(dataplane::Engine& engine, DutSnapshots& snapshots);

  /// Publishes `count` snapshots, `per_second` a second. Times in microseconds, one per swap:
  ///   delays_us    publish() until the slowest worker's acknowledgement
  ///   stolen_us    of these: what the workers waited for a core (schedstat's run delay)
  ///   prepare_us   what making the snapshot took
  nlohmann::json run(uint32_t count, uint32_t per_second);

 private:
  uint64_t slowest_acknowledgement_ns(uint64_t revision) const;
  uint64_t run_delay_ns() const;
  void prepare();

  dataplane::Engine& engine_;
  DutSnapshots& snapshots_;
  std::vector<pid_t> workers_;
  std::vector<std::shared_ptr<const model::Snapshot>> prepared_;  // the next one last
  std::vector<double> prepare_us_;
};

}  // namespace sluice::perf

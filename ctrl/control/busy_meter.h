// BusyMeter: the share of its time that each worker had packets, over the last interval between
// two calls of tick(). ctrl thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/engine.h"

namespace sluice::ctrl {

class BusyMeter {
 public:
  void tick(const dataplane::Engine& engine) {
    workers_.resize(engine.worker_count());
    for (unsigned i = 0; i < workers_.size(); i++) {
      const uint64_t busy = engine.counters(i).busy_cycles.get();
      const uint64_t idle = engine.counters(i).idle_cycles.get();
      Worker& worker = workers_[i];
      const double passed = double(busy - worker.busy) + double(idle - worker.idle);
      worker = {busy, idle, passed > 0 ? double(busy - worker.busy) / passed : 0.0};
    }
  }

  /// 0..1; 0 before the first tick.
  double ratio(unsigned worker) const {
    return worker < workers_.size() ? workers_[worker].ratio : 0.0;
  }

 private:
  struct Worker {
    uint64_t busy = 0;
    uint64_t idle = 0;
    double ratio = 0;
  };
  std::vector<Worker> workers_;
};

}  // namespace sluice::ctrl

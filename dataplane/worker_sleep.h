// WorkerSleep: how an adaptive worker sleeps while its queues are empty: on the devices' fds and
// its own eventfd, or, where a device has no fd, for a short time that grows. One worker.
#pragma once

#include <poll.h>

#include <array>
#include <cstdint>

#include "dataplane/worker_links.h"

namespace sluice::dataplane {

class WorkerSleep {
 public:
  /// Polling without finding anything goes on for so long before the first sleep.
  static constexpr uint64_t spin_ns = 50'000;
  static constexpr uint64_t nap_ns_min = 20'000;
  static constexpr uint64_t nap_ns_max = 500'000;
  /// With fds on every queue; flow timers tick that often.
  static constexpr uint64_t sleep_ns_max = 100'000'000;

  explicit WorkerSleep(const WorkerLinks& links);

  /// After a round that found work.
  void found_work() {
    idle_since_ns_ = 0;
    nap_ns_ = nap_ns_min;
  }

  /// After a round that found none: true when it is time to sleep.
  bool is_due(uint64_t now_ns) {
    if (idle_since_ns_ == 0) idle_since_ns_ = now_ns;
    return now_ns - idle_since_ns_ >= spin_ns;
  }

  /// Between announce() and cancel() of the worker's Sleeper, with no input waiting.
  void sleep();

 private:
  void forget_dead_fds();

  nfds_t fd_count_ = 0;
  std::array<pollfd, 1 + nic::queues_max * nic::ports_max> fds_;
  bool has_fds_ = false;
  uint64_t idle_since_ns_ = 0;
  uint64_t nap_ns_ = nap_ns_min;
};

}  // namespace sluice::dataplane

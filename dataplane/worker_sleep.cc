#include "dataplane/worker_sleep.h"

#include <algorithm>

namespace sluice::dataplane {

WorkerSleep::WorkerSleep(const WorkerLinks& links) : has_fds_(links.ports->sleeps_on_fds) {
  fds_[fd_count_++] = {links.sleepers[links.worker]->fd(), POLLIN, 0};
  for (const nic::RxQueue& queue : links.ports->rx) {
    if (queue.wait_fd >= 0 && fd_count_ < fds_.size()) {
      fds_[fd_count_++] = {queue.wait_fd, POLLIN, 0};
    }
  }
}

void WorkerSleep::sleep() {
  const uint64_t duration_ns = has_fds_ ? sleep_ns_max : nap_ns_;
  nap_ns_ = std::min(2 * nap_ns_, nap_ns_max);
  const timespec duration = {0, static_cast<long>(duration_ns)};
  if (ppoll(fds_.data(), fd_count_, &duration, nullptr) > 0) forget_dead_fds();
}

/// A device that went away would wake us for ever; from now on such a worker naps.
void WorkerSleep::forget_dead_fds() {
  for (nfds_t i = 1; i < fd_count_; ++i) {
    if ((fds_[i].revents & (POLLERR | POLLHUP | POLLNVAL)) == 0) continue;
    fds_[i].fd = -1;
    has_fds_ = false;
  }
}

}  // namespace sluice::dataplane

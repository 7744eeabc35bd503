// Sleeper: one thread sleeps on an eventfd until another has something for it. No wake-up is
// lost: the sleeper announces itself, then looks at its inputs once more; a producer makes its
// work visible, then looks whether anybody sleeps. The two fences make one of them see the other.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/base/result.h"

namespace sluice::dataplane {

class Sleeper {
 public:
  Sleeper() = default;
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  ~Sleeper();

  /// Opens the eventfd. Once, before any other thread knows this object.
  Status open();

  /// Readable after wake(). Valid after open().
  int fd() const { return fd_; }

  /// Sleeper only: "I am about to sleep". Look at every input after this call, then either sleep
  /// on fd() or call cancel().
  void announce() {
    asleep_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }

  /// Sleeper only: awake again; forgets wake-ups that came meanwhile.
  void cancel();

  /// Any other thread, after it made its work visible. Costs a fence, and a system call when
  /// somebody sleeps.
  void wake() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_relaxed)) [[unlikely]] {
      signal();
    }
  }

 private:
  void signal();

  std::atomic<bool> asleep_{false};
  int fd_ = -1;
};

}  // namespace sluice::dataplane

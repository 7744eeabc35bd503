// ManualLoop: an event loop whose time passes only when a test says so. Timers and posted tasks
// only; descriptors are for the real loop.
#pragma once

#include <cstdlib>
#include <deque>
#include <map>

#include "ctrl/runtime/event_loop.h"

namespace sluice::ctrl {

class ManualLoop : public EventLoop {
 public:
  uint64_t now_ns() const { return now_ns_; }

  /// Runs what is due until `by` has passed.
  void advance(std::chrono::nanoseconds by) {
    const uint64_t until = now_ns_ + static_cast<uint64_t>(by.count());
    for (;;) {
      run_posted();
      const auto next = timers_.begin();
      if (next == timers_.end() || next->first.first > until) break;
      now_ns_ = std::max(now_ns_, next->first.first);
      const Completion done = std::move(next->second);
      timers_.erase(next);
      done(0);
    }
    now_ns_ = until;
    run_posted();
  }

  OperationId after(std::chrono::nanoseconds delay, Completion done) override {
    timers_[{now_ns_ + static_cast<uint64_t>(delay.count()), ++last_id_}] = std::move(done);
    return last_id_;
  }
  void cancel(OperationId operation) override {
    std::erase_if(timers_, [&](const auto& timer) { return timer.first.second == operation; });
  }
  void post(std::function<void()> task) override { posted_.push_back(std::move(task)); }

  OperationId read(int, std::span<std::byte>, Completion) override { std::abort(); }
  OperationId write(int, std::span<const std::byte>, Completion) override { std::abort(); }
  OperationId accept(int, Completion) override { std::abort(); }
  OperationId connect(int, const sockaddr_storage&, socklen_t, Completion) override {
    std::abort();
  }
  OperationId poll(int, short, Completion) override { std::abort(); }
  void set_poller(std::function<bool()>) override { std::abort(); }
  void run() override { std::abort(); }
  void stop() override { std::abort(); }

 private:
  void run_posted() {
    while (!posted_.empty()) {
      const auto task = std::move(posted_.front());
      posted_.pop_front();
      task();
    }
  }

  uint64_t now_ns_ = 1'000'000'000'000;
  OperationId last_id_ = 0;
  std::map<std::pair<uint64_t, OperationId>, Completion> timers_;
  std::deque<std::function<void()>> posted_;
};

}  // namespace sluice::ctrl

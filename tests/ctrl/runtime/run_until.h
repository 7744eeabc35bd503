// Turns an event loop until something has happened, for tests.
#pragma once

#include <chrono>
#include <functional>

#include "ctrl/runtime/event_loop.h"

namespace sluice::ctrl::test {

/// True when `done` held before `limit` had passed. Looks at it every few milliseconds.
inline bool run_until(EventLoop& loop, const std::function<bool()>& done,
                      std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  bool reached = false;
  OperationId tick = 0;
  std::function<void(int)> look = [&](int) {
    tick = loop.after(std::chrono::milliseconds(2), look);
  };
  look(0);
  const OperationId timer = loop.after(limit, [&](int) { loop.stop(); });
  loop.set_poller([&] {
    if (!reached && done()) {
      reached = true;
      loop.stop();
    }
    return false;
  });
  loop.run();
  loop.set_poller(nullptr);
  loop.cancel(timer);
  loop.cancel(tick);
  return reached;
}

/// Turns the loop for a while, whatever happens.
inline void run_for(EventLoop& loop, std::chrono::milliseconds time) {
  run_until(loop, [] { return false; }, time);
}

}  // namespace sluice::ctrl::test

// Signals as calls on the event loop: SIGTERM and SIGINT stop it, SIGHUP runs a function on its
// thread. Set up when there is something to stop; until then the kernel's defaults hold, so that
// a start that hangs can be interrupted. One per process; main thread only.
#pragma once

#include <functional>

#include "ctrl/control/unique_fd.h"
#include "ctrl/runtime/event_loop.h"
#include "dataplane/base/result.h"

namespace sluice::ctrl {

class StopSignals {
 public:
  StopSignals() = default;
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  /// From here on the signals are ignored.
  ~StopSignals();

  Status attach(EventLoop& loop, std::function<void()> on_hangup);

 private:
  void wait_hangup();

  EventLoop* loop_ = nullptr;
  std::function<void()> on_hangup_;
  UniqueFd hangup_;  // eventfd, written by the handler of SIGHUP
  OperationId waiting_ = 0;
};

}  // namespace sluice::ctrl

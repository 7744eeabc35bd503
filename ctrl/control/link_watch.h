// LinkWatch: tells when the link of a port goes up or down. ctrl thread only.
#pragma once

#include <functional>
#include <vector>

#include "ctrl/control/event_hub.h"
#include "ctrl/control/status_view.h"
#include "ctrl/runtime/event_loop.h"

namespace sluice::ctrl {

class LinkWatch {
 public:
  /// Looks once a second. All of it outlives the watch.
  LinkWatch(EventLoop& loop, EventHub& events, const Identity& identity);
  ~LinkWatch();

 private:
  void look();

  EventLoop& loop_;
  EventHub& events_;
  const Identity& identity_;
  std::vector<bool> up_;  // by index into Identity::ports
  OperationId timer_ = 0;
};

}  // namespace sluice::ctrl

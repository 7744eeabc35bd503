#include "ctrl/control/link_watch.h"

#include <chrono>

#include "ctrl/runtime/log.h"

namespace sluice::ctrl {

using namespace std::chrono_literals;

LinkWatch::LinkWatch(EventLoop& loop, EventHub& events, const Identity& identity)
    : loop_(loop), events_(events), identity_(identity) {
  for (const nic::PortInfo& port : identity_.ports) {
    up_.push_back(identity_.device_stats(port.id).link_up);
  }
  timer_ = loop_.after(1s, [this](int) { look(); });
}

LinkWatch::~LinkWatch() { loop_.cancel(timer_); }

void LinkWatch::look() {
  for (size_t i = 0; i < identity_.ports.size(); i++) {
    const nic::PortInfo& port = identity_.ports[i];
    const bool up = identity_.device_stats(port.id).link_up;
    if (up == up_[i]) continue;
    up_[i] = up;
    events_.emit("port", {{"port", port.name}, {"link_up", up}});
    log(up ? LogLevel::info : LogLevel::warn, "control", "link", {{"port", port.name}, {"up", up}});
  }
  timer_ = loop_.after(1s, [this](int) { look(); });
}

}  // namespace sluice::ctrl

// The answer of `status`: what is served now, by every worker. ctrl thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ctrl/control/controller.h"
#include "ctrl/control/route_facts.h"
#include "nic/port_set.h"

namespace sluice::ctrl {

/// Who this process is and which devices it has; set up once at start.
struct Identity {
  std::string version;
  uint64_t started_ns = 0;           // CLOCK_MONOTONIC
  std::vector<nic::PortInfo> ports;  // by port id
  std::vector<std::string> taps;     // by port id
  std::function<nic::DeviceStats(uint8_t port)> device_stats;
};

/// `slots` knows tables that were counted before.
Json status_view(const Controller& controller, const Identity& identity, SlotCounts& slots);
inline Json status_view(const Controller& controller, const Identity& identity) {
  SlotCounts slots;
  return status_view(controller, identity, slots);
}

/// The answer of `conditions`: of one route, or (empty) of all.
Json conditions_view(const Controller& controller, const std::string& route);

/// "80" or "8000-8099".
Json port_json(const ListenerConfig& listener);
std::string protocol_name(uint8_t protocol);

}  // namespace sluice::ctrl

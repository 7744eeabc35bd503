// WorkerState: everything that the packets of one worker may look up or change, beside the
// snapshot. The pieces live where the owner put them (hugepages in the engine, the heap in
// tests); this only gathers them. One worker.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/flow/connections.h"
#include "dataplane/flow/owner.h"
#include "dataplane/flow/port_allocator.h"
#include "dataplane/forward/frame.h"
#include "dataplane/wire/reply.h"
#include "dataplane/worker_counters.h"

namespace sluice::dataplane {

/// ICMP errors are limited (RFC 4443 §2.4 f, RFC 1812 §4.3.2.8): 1,000 a second and worker.
inline constexpr uint32_t icmp_replies_per_tick_max = 100;

struct WorkerState {
  uint16_t worker;
  const flow::Owner& owner;
  flow::Connections<Tuple4>& connections_v4;
  flow::Connections<Tuple6>& connections_v6;
  flow::PortAllocator<Tuple4>& snat_ports_v4;
  flow::PortAllocator<Tuple6>& snat_ports_v6;
  WorkerCounters& counters;
  forward::FrameSource reply_source;

  uint32_t icmp_tick = 0;  // the tick that icmp_replies counts in
  uint32_t icmp_replies = 0;
  std::array<uint8_t, wire::reply_bytes_max> reply_scratch = {};

  template <typename Tuple>
  flow::Connections<Tuple>& connections() {
    if constexpr (Tuple::family == Family::v4) {
      return connections_v4;
    } else {
      return connections_v6;
    }
  }

  template <typename Tuple>
  const flow::Connections<Tuple>& connections() const {
    if constexpr (Tuple::family == Family::v4) {
      return connections_v4;
    } else {
      return connections_v6;
    }
  }

  template <typename Tuple>
  flow::PortAllocator<Tuple>& snat_ports() {
    if constexpr (Tuple::family == Family::v4) {
      return snat_ports_v4;
    } else {
      return snat_ports_v6;
    }
  }
};

}  // namespace sluice::dataplane

// The state machine of a flow, TCP (RFC 9293, §3.3.2, seen from the middle) and UDP. Pure; any
// thread. Sequence numbers are not tracked: what a blind sender can forge must not kill a flow.
//
//   state            event                                       next             lifecycle
//   tcp_syn          SYN|ACK from backend                        tcp_syn (noted)  same
//   tcp_syn          ACK from client after SYN|ACK               tcp_established  same
//   tcp_established  FIN from one side                           tcp_closing      same
//   tcp_closing      FIN of the other side                       tcp_closing      same
//   tcp_closing      ACK without FIN, to the second FIN          tcp_closed       ended
//   syn, established, closing   RST                              tcp_closed       ended
//   tcp_closed by RST  ACK with data from the RST's own side     established or closing  revived
//   tcp_closed by RST  ACK with data from the other side, later
//                      than what was in flight (2 s)             established or closing  revived
//   udp_new          packet from backend                         udp_established  same
//
// Revival goes back to tcp_closing when a FIN had been seen, else to tcp_established.
// Forbidden: closed by FINs → anything (a SYN ends that flow and opens a new one, see
// reusable_by_syn); reset → anything; established → syn (a SYN inside an established flow is
// forwarded, the backend challenges it); syn → closing (a FIN before the handshake is ignored);
// udp → tcp. `ended` is reported when counted_ended gets set, `revived` when it is cleared again:
// a connection counts as ended as long as its record says so, and never twice.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/flow/flow_record.h"
#include "dataplane/model/snapshot.h"

namespace sluice::flow {

/// What one packet did to the number of active connections.
enum class Lifecycle : uint8_t {
  same,
  ended,    // it counted as active and no longer does
  revived,  // a RST that was not true had ended it: it counts as active again
};

/// What the state machine needs of one packet.
struct Segment {
  Direction direction = Direction::from_client;
  uint8_t tcp_flags = 0;     // wire::TcpFlag; 0 for UDP
  bool has_payload = false;  // TCP payload of one byte or more
};

/// The part of a FlowRecord that the state machine owns.
struct TcpTrack {
  FlowState state = FlowState::tcp_syn;
  uint8_t flags = 0;  // FlowFlag
  uint16_t rst_tick = 0;
  bool operator==(const TcpTrack&) const = default;
};

struct TcpStep {
  TcpTrack track;
  Lifecycle lifecycle = Lifecycle::same;
};

/// Data that was in flight when a RST passed has arrived by then (2 s).
inline constexpr uint16_t rst_in_flight_ticks = 20;

/// FIN, SYN and RST: a segment of an established connection without them changes nothing.
inline constexpr uint8_t state_changing_flags = 0x07;

namespace detail {
/// What may move a flow out of a state, first for packets of clients, then for those of backends:
/// state_changing_flags, and a bit that no TCP flag uses.
inline constexpr uint8_t any_packet = 0x80;
inline constexpr size_t states = 8;
inline constexpr std::array<uint8_t, 2 * states> movers = {
    any_packet,
    any_packet,  // free: no packet has such a flow; tcp_syn
    state_changing_flags,
    any_packet,  // tcp_established; tcp_closing
    any_packet,
    0,  // tcp_closed; udp_new
    0,
    0,  // udp_established; reset
    any_packet,
    any_packet,
    state_changing_flags,
    any_packet,
    any_packet,
    any_packet,
    0,
    0,
};
}  // namespace detail

/// False when such a packet leaves a flow in `state` as it is, whatever else the flow remembers.
inline bool may_change_state(FlowState state, Direction direction, uint8_t tcp_flags) {
  const unsigned seen = (tcp_flags & state_changing_flags) | detail::any_packet;
  const size_t at = static_cast<size_t>(direction) * detail::states + static_cast<size_t>(state);
  return (detail::movers[at] & seen) != 0;
}

/// The track after `segment`. For TCP states only; a `reset` tombstone stays as it is.
TcpStep advance(TcpTrack track, const Segment& segment, uint32_t now_tick);

/// Longest timeout that the wrapping 32-bit tick can tell from the past (3.4 years).
inline constexpr uint32_t timeout_ticks_max = 1u << 30;

/// Idle ticks after which a flow in `state` expires, in [1, timeout_ticks_max]. A `reset` tombstone
/// waits as long as tcp_closed.
uint32_t timeout_ticks(FlowState state, const model::Timeouts& timeouts);

/// A SYN (without ACK) on such a flow ends it and opens a new connection (port reuse).
inline bool reusable_by_syn(FlowState state) {
  return state == FlowState::tcp_closing || state == FlowState::tcp_closed ||
         state == FlowState::reset;
}

/// Order of eviction: the first class goes first.
enum class FlowClass : uint8_t { ended, embryonic, closing, established };
inline constexpr unsigned flow_class_count = 4;

inline FlowClass class_of(FlowState state) {
  switch (state) {
    case FlowState::tcp_syn:
    case FlowState::udp_new:
      return FlowClass::embryonic;
    case FlowState::tcp_established:
    case FlowState::udp_established:
      return FlowClass::established;
    case FlowState::tcp_closing:
      return FlowClass::closing;
    case FlowState::free:
    case FlowState::tcp_closed:
    case FlowState::reset:
      break;
  }
  return FlowClass::ended;
}

}  // namespace sluice::flow

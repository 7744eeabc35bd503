#include "dataplane/flow/tcp_state.h"

#include <algorithm>

#include "dataplane/wire/parse.h"

namespace sluice::flow {
namespace {

static_assert(state_changing_flags == (wire::tcp_fin | wire::tcp_syn | wire::tcp_rst));

bool both_fins(const TcpTrack& track) {
  return (track.flags & (saw_client_fin | saw_backend_fin)) == (saw_client_fin | saw_backend_fin);
}

bool has(const Segment& segment, uint8_t flag) { return (segment.tcp_flags & flag) != 0; }

TcpStep on_rst(TcpTrack track, const Segment& segment, uint32_t now_tick) {
  if (track.state == FlowState::tcp_closed) return {track, Lifecycle::same};
  track.state = FlowState::tcp_closed;
  track.flags &= static_cast<uint8_t>(~rst_from_backend);
  track.flags |= saw_rst | counted_ended;
  if (segment.direction == Direction::from_backend) track.flags |= rst_from_backend;
  track.rst_tick = static_cast<uint16_t>(now_tick);
  return {track, Lifecycle::ended};
}

/// Whoever sent the RST sends nothing after it, so data from that side shows that it was forged.
/// The other side's data may have been in flight, unless it comes too late for that.
bool refutes_rst(const TcpTrack& track, const Segment& segment, uint32_t now_tick) {
  if ((track.flags & saw_rst) == 0 || !segment.has_payload || !has(segment, wire::tcp_ack)) {
    return false;
  }
  const auto sender =
      (track.flags & rst_from_backend) != 0 ? Direction::from_backend : Direction::from_client;
  const auto age = static_cast<uint16_t>(static_cast<uint16_t>(now_tick) - track.rst_tick);
  return segment.direction == sender || age >= rst_in_flight_ticks;
}

TcpStep on_closed(TcpTrack track, const Segment& segment, uint32_t now_tick) {
  if (!refutes_rst(track, segment, now_tick)) return {track, Lifecycle::same};
  const bool fin = (track.flags & (saw_client_fin | saw_backend_fin)) != 0;
  track.state = fin ? FlowState::tcp_closing : FlowState::tcp_established;
  track.flags &= static_cast<uint8_t>(~(saw_rst | rst_from_backend | counted_ended));
  return {track, Lifecycle::revived};
}

void on_handshake(TcpTrack& track, const Segment& segment) {
  const bool from_backend = segment.direction == Direction::from_backend;
  if (from_backend && has(segment, wire::tcp_syn) && has(segment, wire::tcp_ack)) {
    track.flags |= saw_backend_syn;
  }
  if (!from_backend && has(segment, wire::tcp_ack) && !has(segment, wire::tcp_syn) &&
      (track.flags & saw_backend_syn) != 0) {
    track.state = FlowState::tcp_established;
  }
}

void on_fin(TcpTrack& track, Direction direction) {
  const bool was_both = both_fins(track);
  const bool from_backend = direction == Direction::from_backend;
  track.flags |= from_backend ? saw_backend_fin : saw_client_fin;
  track.state = FlowState::tcp_closing;
  if (was_both || !both_fins(track)) return;  // a first FIN, or one sent again
  track.flags &= static_cast<uint8_t>(~backend_fin_last);
  if (from_backend) track.flags |= backend_fin_last;
}

bool acknowledges_second_fin(const TcpTrack& track, const Segment& segment) {
  const auto receiver =
      (track.flags & backend_fin_last) != 0 ? Direction::from_client : Direction::from_backend;
  return both_fins(track) && has(segment, wire::tcp_ack) && segment.direction == receiver;
}

}  // namespace

TcpStep advance(TcpTrack track, const Segment& segment, uint32_t now_tick) {
  if (track.state == FlowState::reset) return {track, Lifecycle::same};
  if (has(segment, wire::tcp_rst)) return on_rst(track, segment, now_tick);
  if (track.state == FlowState::tcp_closed) return on_closed(track, segment, now_tick);
  if (track.state == FlowState::tcp_syn) on_handshake(track, segment);
  if (track.state == FlowState::tcp_syn) return {track, Lifecycle::same};
  if (has(segment, wire::tcp_fin)) {
    on_fin(track, segment.direction);
  } else if (track.state == FlowState::tcp_closing && acknowledges_second_fin(track, segment)) {
    track.state = FlowState::tcp_closed;
    track.flags |= counted_ended;
    return {track, Lifecycle::ended};
  }
  return {track, Lifecycle::same};
}

uint32_t timeout_ticks(FlowState state, const model::Timeouts& timeouts) {
  uint32_t ticks = timeouts.tcp_closed;
  switch (state) {
    case FlowState::tcp_syn:
      ticks = timeouts.tcp_syn;
      break;
    case FlowState::tcp_established:
      ticks = timeouts.tcp_established;
      break;
    case FlowState::tcp_closing:
      ticks = timeouts.tcp_closing;
      break;
    case FlowState::udp_new:
      ticks = timeouts.udp_new;
      break;
    case FlowState::udp_established:
      ticks = timeouts.udp_established;
      break;
    case FlowState::free:
    case FlowState::tcp_closed:
    case FlowState::reset:
      break;
  }
  return std::clamp(ticks, uint32_t{1}, timeout_ticks_max);
}

}  // namespace sluice::flow

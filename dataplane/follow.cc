#include "dataplane/follow.h"

#include "dataplane/flow_counts.h"
#include "dataplane/forward/nat.h"
#include "dataplane/lookup.h"
#include "dataplane/refuse.h"
#include "dataplane/wire/rewrite.h"

namespace sluice::dataplane {
namespace {

using flow::Direction;
using flow::FlowRecord;
using forward::Burst;

bool is_open_syn(const wire::ParsedPacket& packet) {
  return (packet.tcp_flags & (wire::tcp_syn | wire::tcp_ack)) == wire::tcp_syn;  // 0 for UDP
}

bool has_payload(const wire::ParsedPacket& packet) {
  return packet.payload_offset < packet.l3_offset + packet.l3_bytes;
}

/// A packet of a TCP flow that no longer stands: a tombstone from now on, and a RST to its sender.
/// The other side is told as soon as a packet shows which sequence number it will believe.
template <typename Tuple>
Verdict answer_dead_flow(Burst& burst, uint32_t index, Standing standing,
                         const model::Snapshot& snapshot, WorkerState& state) {
  auto& connections = state.connections<Tuple>();
  const flow::FlowMatch match = burst.matches[index];
  FlowRecord<Tuple>& record = connections[match.index];
  reset_flow(state.counters, connections, match.index, burst.now_tick);
  reset_sender(burst, index, state);
  const bool to_client = match.direction == Direction::from_backend;
  const bool knows_hop = to_client ? snapshot.ports[record.client_port].present
                                   : standing != Standing::backend_gone &&
                                         snapshot.backends[record.backend].next_hop.resolved;
  if (knows_hop && (record.flags & flow::other_side_told) == 0) {
    const forward::Hop hop = to_client ? forward::hop_to_client(snapshot, record)
                                       : forward::hop_to_backend(snapshot, record);
    reset_onward(burst, index, forward::nat_tuple(record, match.direction), hop, state);
    record.flags |= flow::other_side_told;
  }
  return standing == Standing::backend_gone ? Verdict::backend_gone : Verdict::flow_reset;
}

/// Not 0 when the frame came from another next hop or NIC port than the client's.
template <typename Tuple>
inline uint32_t client_moved(const forward::Frame& frame, const FlowRecord<Tuple>& record) {
  const uint8_t* source = frame.data + wire::ethernet::source;
  const uint8_t* known = record.client_mac.bytes.data();
  const uint32_t front = load<uint32_t>(source) ^ load<uint32_t>(known);
  const uint32_t back = uint32_t{load<uint16_t>(source + 4)} ^ load<uint16_t>(known + 4);
  return front | back | (uint32_t{frame.port} ^ record.client_port);
}

/// Not 0 when check_egress() has an objection.
inline uint32_t is_stuck(const forward::Frame& frame, const wire::ParsedPacket& packet,
                         const model::Port& out) {
  const bool expires = wire::hop_limit(frame.bytes(), packet) <= 1;
  const bool is_long = uint32_t{frame.length} - wire::ethernet_header_bytes > out.mtu;
  return uint32_t{expires} | uint32_t{!out.present} | uint32_t{is_long};
}

template <typename Tuple>
inline void count_packet(WorkerCounters& counters, const FlowRecord<Tuple>& record,
                         Direction direction, const wire::ParsedPacket& packet) {
  auto& traffic = counters.refs[record.ref].traffic[static_cast<size_t>(direction)];
  traffic.packets.add(1);
  traffic.bytes.add(packet.l3_bytes);
}

/// A RST instead of a SYN|ACK: asked only when a connection has just ended.
template <typename Tuple>
[[gnu::noinline, gnu::cold]] void count_refusal(WorkerCounters& counters,
                                                const FlowRecord<Tuple>& record,
                                                const wire::ParsedPacket& packet) {
  if (record.protocol != protocol_tcp || (packet.tcp_flags & wire::tcp_rst) == 0) return;
  if ((record.flags & flow::saw_backend_syn) == 0) {
    counters.backends[record.backend].refused.add(1);
  }
}

/// follow_packet() of a flow that stands. Which way a packet goes is as good as random, so nothing
/// here branches on it.
template <typename Tuple>
[[gnu::always_inline]] inline Verdict pass(Burst& burst, uint32_t index, flow::FlowMatch match,
                                           const model::Snapshot& snapshot, WorkerState& state) {
  forward::Frame& frame = burst.frames[index];
  const wire::ParsedPacket& packet = burst.packets[index];
  auto& connections = state.connections<Tuple>();
  FlowRecord<Tuple>& record = connections[match.index];
  const auto from_client = static_cast<uint32_t>(match.direction == Direction::from_client);
  const uint32_t is_unresolved =
      from_client & ~uint32_t{snapshot.backends[record.backend].next_hop.resolved};
  const forward::Hop hop = forward::next_hop(snapshot, record, match.direction);
  // Before the state machine: a packet that goes nowhere changes nothing.
  if ((is_unresolved | is_stuck(frame, packet, snapshot.ports[hop.port])) != 0) [[unlikely]] {
    return is_unresolved != 0 ? Verdict::backend_unresolved
                              : check_egress(frame, packet, snapshot, hop.port);
  }
  const flow::Segment segment{match.direction, packet.tcp_flags, has_payload(packet)};
  const flow::Lifecycle lifecycle = connections.touch(match.index, segment, burst.now_tick);
  if (lifecycle != flow::Lifecycle::same) [[unlikely]] {
    count_lifecycle(state.counters, record, lifecycle);
    if (!from_client) count_refusal(state.counters, record, packet);
  }
  // Replies go back the way the client's packets come.
  if ((client_moved(frame, record) & (0u - from_client)) != 0) [[unlikely]] {
    if (snapshot.ports[frame.port].present) {
      record.client_mac = load<MacAddress>(frame.data + wire::ethernet::source);
      record.client_port = frame.port;
    }
  }
  count_packet(state.counters, record, match.direction, packet);
  burst.egress[index] = hop.port;
  forward::nat(frame, packet, record, match.direction, hop);
  static_assert(static_cast<int>(Verdict::to_client) == static_cast<int>(Verdict::to_backend) + 1);
  return static_cast<Verdict>(static_cast<int>(Verdict::to_backend) +
                              static_cast<int>(match.direction));
}

}  // namespace

Verdict check_egress(const forward::Frame& frame, const wire::ParsedPacket& packet,
                     const model::Snapshot& snapshot, uint8_t port) {
  if (wire::hop_limit(frame.bytes(), packet) <= 1) return Verdict::ttl_expired;
  const model::Port& out = snapshot.ports[port];
  if (!out.present) return Verdict::no_device;
  const uint32_t l3_bytes = frame.length - uint32_t{wire::ethernet_header_bytes};
  return l3_bytes > out.mtu ? Verdict::too_big : Verdict::none;
}

template <typename Tuple>
bool leaves_flow(const wire::ParsedPacket& packet, const FlowRecord<Tuple>& record,
                 Direction direction, Standing standing) {
  if (standing != Standing::current && record.protocol == protocol_udp) return true;
  if (direction != Direction::from_client || !is_open_syn(packet)) return false;
  return standing != Standing::current || flow::reusable_by_syn(record.state);
}

template <typename Tuple>
Verdict follow_packet(Burst& burst, uint32_t index, const model::Snapshot& snapshot,
                      WorkerState& state) {
  const flow::FlowMatch match = burst.matches[index];
  const FlowRecord<Tuple>& record = state.connections<Tuple>()[match.index];
  const Standing standing = standing_of(snapshot, record);
  if (standing != Standing::current) [[unlikely]] {
    return answer_dead_flow<Tuple>(burst, index, standing, snapshot, state);
  }
  return pass<Tuple>(burst, index, match, snapshot, state);
}

template <typename Tuple>
void follow(Burst& burst, const model::Snapshot& snapshot, WorkerState& state) {
  forward::FamilyLists& lists = burst.lists<Tuple>();
  const auto& connections = state.connections<Tuple>();
  const uint32_t count = lists.flows.size();
  while (lists.fetched < count && lists.fetched < record_lead) fetch_record<Tuple>(burst, state);
  for (const uint32_t i : lists.flows) {
    if (lists.fetched < count) fetch_record<Tuple>(burst, state);
    const flow::FlowMatch match = find_flow<Tuple>(burst, i, state);
    burst.matches[i] = match;
    if (match.index == flow::no_flow) [[unlikely]] {
      lists.misses.add(i);
      continue;
    }
    const FlowRecord<Tuple>& record = connections[match.index];
    const Standing standing = standing_of(snapshot, record);
    const bool is_rare = standing != Standing::current || is_open_syn(burst.packets[i]);
    if (is_rare && leaves_flow(burst.packets[i], record, match.direction, standing)) [[unlikely]] {
      lists.misses.add(i);
      continue;
    }
    const Verdict verdict = standing == Standing::current
                                ? pass<Tuple>(burst, i, match, snapshot, state)
                                : answer_dead_flow<Tuple>(burst, i, standing, snapshot, state);
    burst.verdicts[i] = verdict;
  }
}

template bool leaves_flow(const wire::ParsedPacket&, const FlowRecord<Tuple4>&, Direction,
                          Standing);
template bool leaves_flow(const wire::ParsedPacket&, const FlowRecord<Tuple6>&, Direction,
                          Standing);
template Verdict follow_packet<Tuple4>(Burst&, uint32_t, const model::Snapshot&, WorkerState&);
template Verdict follow_packet<Tuple6>(Burst&, uint32_t, const model::Snapshot&, WorkerState&);
template void follow<Tuple4>(Burst&, const model::Snapshot&, WorkerState&);
template void follow<Tuple6>(Burst&, const model::Snapshot&, WorkerState&);

}  // namespace sluice::dataplane

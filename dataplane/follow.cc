#include "dataplane/follow.h"

#include <cstring>

#include "dataplane/flow_counts.h"
#include "dataplane/forward/nat.h"
#include "dataplane/refuse.h"
#include "dataplane/wire/rewrite.h"

namespace sluice::dataplane {
namespace {

using flow::Direction;
using flow::FlowRecord;
using forward::Burst;

bool is_open_syn(const wire::ParsedPacket& packet) {
  return packet.protocol == protocol_tcp &&
         (packet.tcp_flags & (wire::tcp_syn | wire::tcp_ack)) == wire::tcp_syn;
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

/// Replies go back the way the client's packets come: written only when that changes.
template <typename Tuple>
inline void learn_client_hop(const forward::Frame& frame, FlowRecord<Tuple>& record) {
  const uint8_t* source = frame.data + wire::ethernet::source;
  const uint8_t* known = record.client_mac.bytes.data();
  const bool same_mac = load<uint32_t>(source) == load<uint32_t>(known) &&
                        load<uint16_t>(source + 4) == load<uint16_t>(known + 4);
  if (same_mac && frame.port == record.client_port) [[likely]]
    return;
  record.client_mac = load<MacAddress>(source);
  record.client_port = frame.port;
}

template <typename Tuple>
inline void count_packet(WorkerCounters& counters, const FlowRecord<Tuple>& record,
                         Direction direction, const wire::ParsedPacket& packet) {
  RefCounters& ref = counters.refs[record.ref];
  if (direction == Direction::from_client) {
    ref.packets_in.add(1);
    ref.bytes_in.add(packet.l3_bytes);
  } else {
    ref.packets_out.add(1);
    ref.bytes_out.add(packet.l3_bytes);
  }
}

/// follow_packet() of a flow that stands.
template <typename Tuple>
inline Verdict pass(Burst& burst, uint32_t index, const model::Snapshot& snapshot,
                    WorkerState& state) {
  const forward::Frame& frame = burst.frames[index];
  const wire::ParsedPacket& packet = burst.packets[index];
  const flow::FlowMatch match = burst.matches[index];
  auto& connections = state.connections<Tuple>();
  FlowRecord<Tuple>& record = connections[match.index];
  const bool from_client = match.direction == Direction::from_client;
  const model::NextHop& backend_hop = snapshot.backends[record.backend].next_hop;
  if (from_client && !backend_hop.resolved) [[unlikely]]
    return Verdict::backend_unresolved;
  const uint8_t egress = from_client ? backend_hop.port : record.client_port;
  // Before the state machine: a packet that goes nowhere changes nothing.
  const Verdict verdict = check_egress(frame, packet, snapshot, egress);
  if (verdict != Verdict::none) [[unlikely]]
    return verdict;

  const flow::Segment segment{match.direction, packet.tcp_flags, has_payload(packet)};
  const flow::Lifecycle lifecycle = connections.touch(match.index, segment, burst.now_tick);
  if (lifecycle != flow::Lifecycle::same) [[unlikely]] {
    count_lifecycle(state.counters, record, lifecycle);
  }
  if (from_client && snapshot.ports[frame.port].present) learn_client_hop(frame, record);
  count_packet(state.counters, record, match.direction, packet);
  return from_client ? Verdict::to_backend : Verdict::to_client;
}

}  // namespace

Verdict check_egress(const forward::Frame& frame, const wire::ParsedPacket& packet,
                     const model::Snapshot& snapshot, uint8_t port) {
  if (wire::hop_limit(frame.bytes(), packet) <= 1) [[unlikely]]
    return Verdict::ttl_expired;
  const model::Port& out = snapshot.ports[port];
  if (!out.present) [[unlikely]]
    return Verdict::no_device;
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
  const FlowRecord<Tuple>& record = state.connections<Tuple>()[burst.matches[index].index];
  const Standing standing = standing_of(snapshot, record);
  if (standing != Standing::current) [[unlikely]] {
    return answer_dead_flow<Tuple>(burst, index, standing, snapshot, state);
  }
  return pass<Tuple>(burst, index, snapshot, state);
}

template <typename Tuple>
void follow(Burst& burst, const model::Snapshot& snapshot, WorkerState& state) {
  forward::FamilyLists& lists = burst.lists<Tuple>();
  const auto& connections = state.connections<Tuple>();
  for (const uint32_t i : lists.flows) {
    const flow::FlowMatch match = burst.matches[i];
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
                                ? pass<Tuple>(burst, i, snapshot, state)
                                : answer_dead_flow<Tuple>(burst, i, standing, snapshot, state);
    burst.verdicts[i] = verdict;
    if (disposition_of(verdict) == Disposition::forward) [[likely]]
      lists.nat.add(i);
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

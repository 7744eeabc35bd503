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
using forward::Hop;

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
    const Hop hop = to_client ? Hop(record) : Hop(snapshot.backends[record.backend].next_hop);
    reset_onward(burst, index, forward::nat_tuple(record, match.direction), hop,
                 snapshot.ports[hop.port()], state);
    record.flags |= flow::other_side_told;
  }
  return standing == Standing::backend_gone ? Verdict::backend_gone : Verdict::flow_reset;
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

/// What the loop over known flows reads again and again. Members of a local object that no pointer
/// leads to stay in registers; what snapshot and state hold would be read anew after every store.
template <typename Tuple>
struct View {
  StandingTables standing;
  const model::Port* ports;
  RefCounters* refs;
  uint32_t now_tick;

  View(const Burst& burst, const model::Snapshot& snapshot, WorkerState& state)
      : standing(snapshot),
        ports(snapshot.ports.data()),
        refs(state.counters.refs.data()),
        now_tick(burst.now_tick) {}
};

/// The packet leaves: counted, rewritten, its egress set. Which way it goes is as good as random,
/// so nothing here branches on it.
template <typename Tuple>
[[gnu::always_inline]] inline Verdict send(Burst& burst, uint32_t index,
                                           const FlowRecord<Tuple>& record, Direction direction,
                                           const Hop& hop, const View<Tuple>& view) {
  const wire::ParsedPacket& packet = burst.packets[index];
  auto& traffic = view.refs[record.ref].traffic[static_cast<size_t>(direction)];
  traffic.packets.add(1);
  traffic.bytes.add(packet.l3_bytes);
  burst.egress[index] = hop.port();
  forward::nat(burst.frames[index], packet, record, direction, hop, view.ports[hop.port()]);
  static_assert(static_cast<int>(Verdict::to_client) == static_cast<int>(Verdict::to_backend) + 1);
  return static_cast<Verdict>(static_cast<int>(Verdict::to_backend) + static_cast<int>(direction));
}

/// One packet of a flow that stands, whatever it says.
template <typename Tuple>
Verdict pass(Burst& burst, uint32_t index, flow::FlowMatch match, const model::Snapshot& snapshot,
             WorkerState& state) {
  const forward::Frame& frame = burst.frames[index];
  const wire::ParsedPacket& packet = burst.packets[index];
  auto& connections = state.connections<Tuple>();
  FlowRecord<Tuple>& record = connections[match.index];
  const bool from_client = match.direction == Direction::from_client;
  const Hop hop(snapshot.backends[record.backend], record, match.direction);
  // Before the state machine: a packet that goes nowhere changes nothing.
  if (!hop.resolved()) return Verdict::backend_unresolved;
  const Verdict verdict = check_egress(frame, packet, snapshot, hop.port());
  if (verdict != Verdict::none) return verdict;
  const flow::Segment segment{match.direction, packet.tcp_flags, has_payload(packet)};
  const flow::Lifecycle lifecycle = connections.touch(match.index, segment, burst.now_tick);
  if (lifecycle != flow::Lifecycle::same) {
    count_lifecycle(state.counters, record, lifecycle);
    if (!from_client) count_refusal(state.counters, record, packet);
  }
  // Replies go back the way the client's packets come.
  if (from_client && snapshot.ports[frame.port].present) {
    record.client_mac = load<MacAddress>(frame.data + wire::ethernet::source);
    record.client_port = frame.port;
  }
  return send<Tuple>(burst, index, record, match.direction, hop, {burst, snapshot, state});
}

/// pass() for nearly all packets: of a flow that stands, which changes no state, that may leave,
/// and whose sender is where it was. False, and nothing is done, for any other. Few
/// instructions count here, so each condition is a branch that is never taken.
template <typename Tuple>
[[gnu::always_inline]] inline bool pass_plain(Burst& burst, uint32_t index,
                                              FlowRecord<Tuple>& record, Direction direction,
                                              const View<Tuple>& view) {
  const forward::Frame& frame = burst.frames[index];
  const wire::ParsedPacket& packet = burst.packets[index];
  if (view.standing.of(record) != Standing::current) [[unlikely]]
    return false;
  if (flow::may_change_state(record.state, direction, packet.tcp_flags)) [[unlikely]]
    return false;
  const Hop hop(view.standing.backends[record.backend], record, direction);
  const model::Port& out = view.ports[hop.port()];
  if (!hop.resolved() || !out.present) [[unlikely]]
    return false;
  if (uint32_t{frame.length} - wire::ethernet_header_bytes > out.mtu) [[unlikely]]
    return false;
  if (wire::hop_limit<Tuple>(frame.bytes()) <= 1) [[unlikely]]
    return false;
  // Asked of clients only, but without a branch on the direction, which is as good as random.
  const auto from_client = uint64_t{direction == Direction::from_client};
  if ((Hop(record).differs_from_source(frame.data, frame.port) & (0 - from_client)) != 0)
      [[unlikely]]
    return false;
  flow::Connections<Tuple>::see(record, view.now_tick);
  burst.verdicts[index] = send<Tuple>(burst, index, record, direction, hop, view);
  return true;
}

/// A packet of a known flow that pass_plain() does not take, or of none.
template <typename Tuple>
[[gnu::noinline]] void follow_rare(Burst& burst, uint32_t index, const model::Snapshot& snapshot,
                                   WorkerState& state) {
  const auto& connections = state.connections<Tuple>();
  const flow::FlowMatch match = find_flow(burst, index, connections.table());
  forward::FamilyLists& lists = burst.lists<Tuple>();
  if (match.index == flow::no_flow) return lists.misses.add(index);
  const FlowRecord<Tuple>& record = connections[match.index];
  const Standing standing = standing_of(snapshot, record);
  if (leaves_flow(burst.packets[index], record, match.direction, standing)) {
    return lists.misses.add(index);
  }
  burst.matches[index] = match;
  burst.verdicts[index] = follow_packet<Tuple>(burst, index, snapshot, state);
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
  auto& connections = state.connections<Tuple>();
  const auto& table = connections.table();
  const View<Tuple> view(burst, snapshot, state);
  forward::PacketSet left = lists.flows, unfetched = lists.unfetched;
  const auto fetch = [&](uint32_t count) {
    for (; count > 0 && !unfetched.empty(); --count) {
      fetch_record(burst, unfetched.take_first(), table);
    }
  };
  const uint32_t fetched = left.size() - unfetched.size();
  if (fetched < record_lead) fetch(record_lead - fetched);
  while (!left.empty()) {
    fetch(record_group);
    for (uint32_t count = record_group; count > 0 && !left.empty(); --count) {
      const uint32_t i = left.take_first();
      if (is_candidate(burst, i, table)) [[likely]] {
        const flow::FlowMatch match = table.match_of(burst.candidates[i]);
        FlowRecord<Tuple>& record = connections[match.index];
        if (pass_plain<Tuple>(burst, i, record, match.direction, view)) [[likely]]
          continue;
      }
      follow_rare<Tuple>(burst, i, snapshot, state);
    }
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

#include "dataplane/admit.h"

#include <cstring>

#include "dataplane/flow_counts.h"
#include "dataplane/follow.h"
#include "dataplane/model/decide.h"
#include "dataplane/model/listener_index.h"
#include "dataplane/refuse.h"

namespace sluice::dataplane {
namespace {

using flow::Direction;
using flow::FlowRecord;
using forward::Burst;

std::span<const uint32_t> snat_addresses(const model::Port& port, const Tuple4&) {
  return port.snat_v4;
}
std::span<const std::array<uint8_t, 16>> snat_addresses(const model::Port& port, const Tuple6&) {
  return port.snat_v6;
}

void set_backend(Tuple4& tuple, const Endpoint& backend) {
  tuple.source = backend.address.v4_raw();
  tuple.source_port = swap16(backend.port);
}
void set_backend(Tuple6& tuple, const Endpoint& backend) {
  tuple.source = backend.address.bytes;
  tuple.source_port = swap16(backend.port);
}

/// The tuple that replies will come with, and its hash.
template <typename Tuple>
struct Reply {
  Tuple tuple;
  uint64_t hash = 0;
};

/// A SNAT address of `port` and a port on it that are free towards `backend`. Flows spread over
/// the addresses by hash; when one is used up for this backend, the next is tried.
template <typename Tuple>
Verdict choose_reply(const model::Backend& backend, const model::Port& port, uint64_t client_hash,
                     uint8_t protocol, WorkerState& state, Reply<Tuple>& reply) {
  const auto addresses = snat_addresses(port, reply.tuple);
  if (addresses.empty()) return Verdict::no_snat_address;
  const auto& table = state.connections<Tuple>().table();
  set_backend(reply.tuple, backend.endpoint);
  size_t at = static_cast<size_t>(((client_hash >> 32) * addresses.size()) >> 32);
  for (size_t tried = 0; tried < addresses.size(); ++tried) {
    reply.tuple.destination = addresses[at];
    reply.tuple.destination_port = 0;
    auto candidates = state.snat_ports<Tuple>().candidates(reply.tuple);
    while (const uint16_t snat_port = candidates.next()) {
      reply.tuple.destination_port = snat_port;
      reply.hash = table.hash(reply.tuple, protocol);
      if (table.find(reply.tuple, protocol, reply.hash).index == flow::no_flow) {
        return Verdict::none;
      }
    }
    at = at + 1 == addresses.size() ? 0 : at + 1;
  }
  return Verdict::snat_ports_exhausted;
}

/// A new record; ends another flow for it when the table is full. no_flow when that fails.
template <typename Tuple>
uint32_t open_record(const Burst& burst, uint32_t index, const Reply<Tuple>& reply,
                     WorkerState& state) {
  auto& connections = state.connections<Tuple>();
  WorkerCounters& counters = state.counters;
  if (connections.full()) {
    const bool evicted = connections.evict_for_room(
        burst.now_tick,
        [&](const FlowRecord<Tuple>& record) {
          if (flow::is_active(record)) count_ended(counters, record);
        },
        evictable_idle_ticks_min);
    if (!evicted) return flow::no_flow;
    counters.flows_evicted.add(1);
  }
  return connections.open(burst.tuple<Tuple>(index), burst.hashes[index], reply.tuple, reply.hash,
                          burst.packets[index].protocol, burst.now_tick);
}

/// Opens the flow of packet `index` to a backend of this decision; sets burst.matches[index].
template <typename Tuple>
Verdict open_flow(Burst& burst, uint32_t index, const model::Decision& decision,
                  const model::Snapshot& snapshot, WorkerState& state) {
  const forward::Frame& frame = burst.frames[index];
  const wire::ParsedPacket& packet = burst.packets[index];
  const model::Backend& backend = snapshot.backends[decision.backend];
  if (!backend.next_hop.resolved) return Verdict::backend_unresolved;
  Verdict verdict = check_egress(frame, packet, snapshot, backend.next_hop.port);
  if (verdict != Verdict::none) return verdict;
  Reply<Tuple> reply{};
  verdict = choose_reply(backend, snapshot.ports[backend.next_hop.port], burst.hashes[index],
                         packet.protocol, state, reply);
  if (verdict != Verdict::none) return verdict;
  const uint32_t opened = open_record(burst, index, reply, state);
  if (opened == flow::no_flow) return Verdict::flow_table_full;

  FlowRecord<Tuple>& record = state.connections<Tuple>()[opened];
  record.client_mac = load<MacAddress>(frame.data + wire::ethernet::source);
  record.client_port = frame.port;
  record.ref = decision.ref;
  record.backend = decision.backend;
  record.incarnation = backend.incarnation;
  record.revision = static_cast<uint32_t>(snapshot.revision);
  burst.matches[index] = {opened, Direction::from_client};
  count_opened(state.counters, record, snapshot.revision, burst.now_ns);
  return Verdict::none;
}

/// A packet that may open a flow, for a listener's address and port.
template <typename Tuple>
Verdict admit_to_listener(Burst& burst, uint32_t index, const model::Listener& listener,
                          const model::Snapshot& snapshot, WorkerState& state) {
  SLUICE_DEBUG_ASSERT(burst.revision == snapshot.revision);
  const model::Decision decision = model::decide(snapshot, listener, burst.tuple<Tuple>(index));
  if (decision.verdict == Verdict::no_rule) return Verdict::no_rule;
  Verdict verdict = decision.verdict;
  if (verdict == Verdict::none) {
    verdict = open_flow<Tuple>(burst, index, decision, snapshot, state);
  } else if (verdict == Verdict::pool_empty_reject) {
    refuse(burst, index, state);
  }
  if (verdict != Verdict::none) {
    state.counters.refs[decision.ref].refused.add(1);
    return verdict;
  }
  return follow_packet<Tuple>(burst, index, snapshot, state);
}

/// TCP without a flow: only a SYN opens one (RFC 9293 §3.10.7.1 for the rest).
Verdict check_tcp_opening(Burst& burst, uint32_t index, WorkerState& state) {
  const uint8_t flags = burst.packets[index].tcp_flags;
  if ((flags & wire::tcp_rst) != 0) return Verdict::no_flow_rst;
  if ((flags & (wire::tcp_syn | wire::tcp_ack)) == wire::tcp_syn) return Verdict::none;
  reset_sender(burst, index, state);
  return Verdict::no_flow;
}

template <typename Tuple>
Verdict admit_packet(Burst& burst, uint32_t index, const model::Snapshot& snapshot,
                     WorkerState& state) {
  const Tuple& tuple = burst.tuple<Tuple>(index);
  const uint8_t protocol = burst.packets[index].protocol;
  auto& connections = state.connections<Tuple>();
  const flow::FlowMatch match = connections.table().find(tuple, protocol, burst.hashes[index]);
  burst.matches[index] = match;
  if (match.index != flow::no_flow) {
    const FlowRecord<Tuple>& record = connections[match.index];
    const Standing standing = standing_of(snapshot, record);
    if (!leaves_flow(burst.packets[index], record, match.direction, standing)) {
      return follow_packet<Tuple>(burst, index, snapshot, state);
    }
    if (standing == Standing::current) {
      close_flow(state.counters, connections, match.index);
    } else {
      if (flow::is_active(record)) state.counters.refs[record.ref].resets.add(1);
      close_flow(state.counters, connections, match.index);
      if (match.direction == Direction::from_backend) {
        return standing == Standing::reset ? Verdict::flow_reset : Verdict::backend_gone;
      }
    }
  }
  const int32_t found = snapshot.index->find(tuple, protocol);
  if (found == model::no_listener) {
    return snapshot.index->is_virtual(tuple.destination) ? Verdict::no_listener
                                                         : Verdict::not_virtual;
  }
  if (protocol == protocol_tcp) {
    const Verdict verdict = check_tcp_opening(burst, index, state);
    if (verdict != Verdict::none) return verdict;
  }
  return admit_to_listener<Tuple>(burst, index, snapshot.listeners[static_cast<size_t>(found)],
                                  snapshot, state);
}

}  // namespace

template <typename Tuple>
void admit(Burst& burst, const model::Snapshot& snapshot, WorkerState& state) {
  forward::PacketSet& misses = burst.lists<Tuple>().misses;
  while (!misses.empty()) {
    const uint32_t i = misses.take_first();
    burst.verdicts[i] = admit_packet<Tuple>(burst, i, snapshot, state);
  }
}

template void admit<Tuple4>(Burst&, const model::Snapshot&, WorkerState&);
template void admit<Tuple6>(Burst&, const model::Snapshot&, WorkerState&);

}  // namespace sluice::dataplane

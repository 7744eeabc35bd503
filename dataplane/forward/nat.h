// nat: full NAT, the mode that works in any network. Both addresses and both ports change, so
// clients see only the virtual address and backends only a SNAT address of this node. The record
// holds both tuples, so a packet leaves with the reverse of the other side's tuple.
// One worker; no state of its own.
#pragma once

#include "dataplane/flow/connections.h"
#include "dataplane/forward/burst.h"
#include "dataplane/model/snapshot.h"

namespace sluice::forward {

template <typename Tuple>
inline Tuple reversed(const Tuple& tuple) {
  return {tuple.destination, tuple.source, tuple.destination_port, tuple.source_port};
}

/// The tuple with which a packet of the flow leaves: towards the backend as SNAT address →
/// backend, towards the client as virtual address → client.
template <typename Tuple>
inline Tuple nat_tuple(const flow::FlowRecord<Tuple>& record, flow::Direction direction) {
  return reversed(direction == flow::Direction::from_client ? record.from_backend
                                                            : record.from_client);
}

/// Rewrites one packet of a flow: MACs, addresses, ports, hop limit, checksums; sets burst.egress.
/// Precondition: the
/// hop limit is above 1 and the next hop is known (dataplane/follow.h).
template <typename Tuple>
void nat_packet(Burst& burst, uint32_t index, const flow::FlowRecord<Tuple>& record,
                flow::Direction direction, const model::Snapshot& snapshot);

/// Rewrites the packets of burst.lists<Tuple>().nat.
template <typename Tuple>
void nat(Burst& burst, const flow::Connections<Tuple>& connections,
         const model::Snapshot& snapshot);

}  // namespace sluice::forward

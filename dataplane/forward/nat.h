// nat: full NAT, the mode that works in any network. Both addresses and both ports change, so
// clients see only the virtual address and backends only a SNAT address of this node. The record
// holds both tuples, so a packet leaves with the reverse of the other side's tuple.
// One worker; no state of its own.
#pragma once

#include <bit>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/choose.h"
#include "dataplane/flow/flow_record.h"
#include "dataplane/forward/frame.h"
#include "dataplane/forward/hop.h"
#include "dataplane/wire/rewrite.h"

namespace sluice::forward {

inline Tuple6 reversed(const Tuple6& tuple) {
  return {tuple.destination, tuple.source, tuple.destination_port, tuple.source_port};
}
/// In the pieces that the rewriting reads.
inline Tuple4 reversed(const Tuple4& tuple) {
  Tuple4 other;
  store(&other.source, std::rotl(load<uint64_t>(&tuple.source), 32));
  store(&other.source_port, std::rotl(load<uint32_t>(&tuple.source_port), 16));
  return other;
}

/// The tuple with which a packet of the flow leaves: towards the backend as SNAT address →
/// backend, towards the client as virtual address → client.
template <typename Tuple>
inline Tuple nat_tuple(const flow::FlowRecord<Tuple>& record, flow::Direction direction) {
  return reversed(*choose(direction == flow::Direction::from_client, &record.from_backend,
                          &record.from_client));
}

/// Rewrites one packet of a flow on its way to `hop` through `out`: MACs, addresses, ports, hop
/// limit, checksums. Precondition: the hop limit is above 1 (dataplane/follow.h).
template <typename Tuple>
inline void nat(Frame& frame, const wire::ParsedPacket& packet,
                const flow::FlowRecord<Tuple>& record, flow::Direction direction, const Hop& hop,
                const model::Port& out) {
  const std::span<uint8_t> bytes{frame.data, frame.length};
  wire::rewrite(bytes, packet, nat_tuple(record, direction));
  wire::rewrite_ethernet(bytes, hop.raw_mac(), raw_mac(out));
}

}  // namespace sluice::forward

#include "dataplane/forward/nat.h"

#include "dataplane/forward/hop.h"
#include "dataplane/wire/rewrite.h"

namespace sluice::forward {
namespace {

template <typename Tuple>
inline void rewrite_packet(Burst& burst, uint32_t index, const flow::FlowRecord<Tuple>& record,
                           flow::Direction direction, const model::Snapshot& snapshot) {
  Frame& frame = burst.frames[index];
  const std::span<uint8_t> bytes{frame.data, frame.length};
  const Hop hop = direction == flow::Direction::from_client ? hop_to_backend(snapshot, record)
                                                            : hop_to_client(snapshot, record);
  wire::rewrite(bytes, burst.packets[index], nat_tuple(record, direction));
  wire::rewrite_ethernet(bytes, hop.destination, hop.source);
  // Here and not earlier: a packet of the client in the same burst may have moved its hop, and
  // MACs and port must belong together.
  burst.egress[index] = hop.port;
}

}  // namespace

template <typename Tuple>
void nat_packet(Burst& burst, uint32_t index, const flow::FlowRecord<Tuple>& record,
                flow::Direction direction, const model::Snapshot& snapshot) {
  rewrite_packet(burst, index, record, direction, snapshot);
}

template <typename Tuple>
void nat(Burst& burst, const flow::Connections<Tuple>& connections,
         const model::Snapshot& snapshot) {
  for (const uint32_t index : burst.lists<Tuple>().nat) {
    const flow::FlowMatch match = burst.matches[index];
    rewrite_packet(burst, index, connections[match.index], match.direction, snapshot);
  }
}

template void nat_packet(Burst&, uint32_t, const flow::FlowRecord<Tuple4>&, flow::Direction,
                         const model::Snapshot&);
template void nat_packet(Burst&, uint32_t, const flow::FlowRecord<Tuple6>&, flow::Direction,
                         const model::Snapshot&);
template void nat(Burst&, const flow::Connections<Tuple4>&, const model::Snapshot&);
template void nat(Burst&, const flow::Connections<Tuple6>&, const model::Snapshot&);

}  // namespace sluice::forward

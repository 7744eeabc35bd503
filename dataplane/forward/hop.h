// Hop: through which port and between which MACs a packet leaves. To backends it comes from the
// snapshot (what the kernel's routes and neighbours say), to clients from the flow, which
// remembers the L2 next hop that its packets came from. Pure; one worker.
#pragma once

#include "dataplane/base/assert.h"
#include "dataplane/base/choose.h"
#include "dataplane/flow/flow_record.h"
#include "dataplane/model/snapshot.h"

namespace sluice::forward {

/// The addresses stay where they are: copying one through a structure and out again makes the
/// processor wait for its own stores (13 cycles a packet).
struct Hop {
  uint8_t port = 0;
  const MacAddress& destination;
  const MacAddress& source;
};

template <typename Tuple>
inline Hop hop_to_backend(const model::Snapshot& snapshot, const flow::FlowRecord<Tuple>& record) {
  SLUICE_DEBUG_ASSERT(record.backend < snapshot.backends.size());
  const model::NextHop& next = snapshot.backends[record.backend].next_hop;
  return {next.port, next.destination, snapshot.ports[next.port].mac};
}

template <typename Tuple>
inline Hop hop_to_client(const model::Snapshot& snapshot, const flow::FlowRecord<Tuple>& record) {
  return {record.client_port, record.client_mac, snapshot.ports[record.client_port].mac};
}

/// One of the two, without a branch: where a packet that came from `direction` goes on to. The
/// backend must stand in the snapshot, either way.
template <typename Tuple>
inline Hop next_hop(const model::Snapshot& snapshot, const flow::FlowRecord<Tuple>& record,
                    flow::Direction direction) {
  SLUICE_DEBUG_ASSERT(record.backend < snapshot.backends.size());
  const bool to_backend = direction == flow::Direction::from_client;
  const model::NextHop& backend = snapshot.backends[record.backend].next_hop;
  const uint8_t port = choose(to_backend, backend.port, record.client_port);
  return {port, *choose(to_backend, &backend.destination, &record.client_mac),
          snapshot.ports[port].mac};
}

}  // namespace sluice::forward

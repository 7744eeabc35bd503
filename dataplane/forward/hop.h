// Hop: through which port and between which MACs a packet leaves. To backends it comes from the
// snapshot (what the kernel's routes and neighbours say), to clients from the flow, which
// remembers the L2 next hop that its packets came from. Pure; one worker.
#pragma once

#include "dataplane/base/assert.h"
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

}  // namespace sluice::forward

// DpdkPortSet: the one implementation of PortSet, for dataplane/ and tests that need the queues
// and buffer pools behind it. Same thread rules as PortSet.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nic/port.h"
#include "nic/port_set.h"

struct rte_ring;

namespace sluice::nic {

class DpdkPortSet : public PortSet {
 public:
  /// The queues, wait fds and pool of worker `worker` (< the `workers` of PortSet::open()).
  virtual const WorkerPorts& worker_ports(unsigned worker) const = 0;
  /// The buffer pool of a NUMA socket; never null (a socket without own pool shares another's).
  virtual rte_mempool* pool(int socket) const = 0;
};

/// Every PortSet is a DpdkPortSet; this is the cast.
inline DpdkPortSet& dpdk_ports(PortSet& ports) { return static_cast<DpdkPortSet&>(ports); }

// The far end of a "ring:NAME" port: put frames into the RX ring and take sent frames from the TX
// ring of queue `queue`. Null before PortSet::open(). One thread per ring.
rte_ring* ring_port_rx(const std::string& name, unsigned queue);
rte_ring* ring_port_tx(const std::string& name, unsigned queue);

}  // namespace sluice::nic

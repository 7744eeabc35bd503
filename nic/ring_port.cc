#include "nic/ring_port.h"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <vector>

#include "nic/dpdk_port_set.h"
#include "nic/log.h"

namespace sluice::nic {
namespace {

constexpr unsigned ring_slots = 1024;

std::string rx_name(const std::string& name, unsigned queue) {
  return fmt::format("{}.rx{}", name, queue);
}
std::string tx_name(const std::string& name, unsigned queue) {
  return fmt::format("{}.tx{}", name, queue);
}

rte_ring* make_ring(const std::string& name) {
  return rte_ring_create(name.c_str(), ring_slots, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

void drain(rte_ring* ring) {
  for (void* frame = nullptr; rte_ring_dequeue(ring, &frame) == 0;) {
    rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
  }
  rte_ring_free(ring);
}

}  // namespace

Result<uint16_t> make_ring_device(const std::string& name, unsigned queues) {
  std::vector<rte_ring*> rx;
  std::vector<rte_ring*> tx;
  LogCapture log;
  for (unsigned queue = 0; queue < queues; ++queue) {
    rx.push_back(make_ring(rx_name(name, queue)));
    tx.push_back(make_ring(tx_name(name, queue)));
    if (rx.back() == nullptr || tx.back() == nullptr) {
      const int error = rte_errno;
      free_rings(name);
      return fail(fmt::format("cannot make its rings: {}", rte_strerror(error)));
    }
  }
  const int id = rte_eth_from_rings(name.c_str(), rx.data(), queues, tx.data(), queues, 0);
  if (id < 0) {
    free_rings(name);
    return fail(fmt::format("the driver refuses it: {}", log.take()));
  }
  return static_cast<uint16_t>(id);
}

void free_rings(const std::string& name) {
  for (unsigned queue = 0; queue < queues_max; ++queue) {
    if (rte_ring* ring = ring_port_rx(name, queue)) drain(ring);
    if (rte_ring* ring = ring_port_tx(name, queue)) drain(ring);
  }
}

rte_ring* ring_port_rx(const std::string& name, unsigned queue) {
  return rte_ring_lookup(rx_name(name, queue).c_str());
}

rte_ring* ring_port_tx(const std::string& name, unsigned queue) {
  return rte_ring_lookup(tx_name(name, queue).c_str());
}

}  // namespace sluice::nic

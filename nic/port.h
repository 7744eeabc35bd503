// The packet path's view of the NIC ports: which queues a worker polls, which it sends on, and
// what it may sleep on. Flat, filled once at start (nic/dpdk_port_set.h), then read-only.
// Worker w of W polls the queues q with q % W == w of every port, and sends on queue w. On a port
// with fewer queues than workers the others own no TX queue: they hand frames to TxQueue::owner.
#pragma once

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <vector>

#include "nic/port_set.h"

namespace sluice::nic {

/// One queue of one DPDK ethdev. A logical port may span several ethdevs.
struct DeviceQueue {
  uint16_t ethdev = 0;
  uint16_t queue = 0;
};

struct RxQueue {
  DeviceQueue device;
  uint8_t port = 0;  // PortInfo::id
  /// A kernel fd for poll(POLLIN), readable while frames wait in this queue; -1: the device has
  /// none, so sleep for a bounded time instead. Never read from it: rx_burst() drains the queue.
  int wait_fd = -1;
};

struct TxQueue {
  DeviceQueue device;
  uint16_t owner = 0;  // the only worker that may send on it
};

/// Everything one worker needs of the ports.
struct WorkerPorts {
  uint16_t worker = 0;
  uint8_t port_count = 0;
  bool sleeps_on_fds = false;         // every queue in `rx` has a wait_fd
  std::vector<RxQueue> rx;            // queues this worker polls, and nobody else
  std::array<TxQueue, ports_max> tx;  // by port id; tx[port].owner == worker: call tx_burst()
  rte_mempool* pool = nullptr;        // of the worker's socket: for frames it makes itself

  bool owns_tx(uint8_t port) const { return tx[port].owner == worker; }
};

/// At most `count` frames (32 is the burst that every driver likes).
inline uint16_t rx_burst(const RxQueue& queue, rte_mbuf** frames, uint16_t count) {
  return rte_eth_rx_burst(queue.device.ethdev, queue.device.queue, frames, count);
}

/// Returns how many of `count` frames the device took; the caller keeps the others.
inline uint16_t tx_burst(const TxQueue& queue, rte_mbuf** frames, uint16_t count) {
  return rte_eth_tx_burst(queue.device.ethdev, queue.device.queue, frames, count);
}

// What the device found out about a frame. Devices without checksum validation report nothing.
inline bool bad_ipv4_checksum(const rte_mbuf& frame) {
  return (frame.ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD;
}
inline bool bad_l4_checksum(const rte_mbuf& frame) {
  return (frame.ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD;
}

}  // namespace sluice::nic

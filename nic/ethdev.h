// Ethdev: one DPDK ethernet device from probe to close, with its RX and TX queues. Used by one
// thread at start and at the end; the queues in between are the workers'.
#pragma once

#include <rte_ethdev.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "nic/port_plan.h"

namespace sluice::nic {

class Ethdev {
 public:
  /// Makes the device: probes the vdev, or finds the PCI device that the EAL probed.
  static Result<std::unique_ptr<Ethdev>> probe(const PortPlan& port, const EthdevPlan& plan);

  Ethdev(const Ethdev&) = delete;
  Ethdev& operator=(const Ethdev&) = delete;
  /// Stops and removes the device; what it held of buffers goes back to the pool.
  ~Ethdev();

  /// Configures `queues` RX queues and as many TX queues as the device has of them, and starts.
  Status start(const PortPlan& port, unsigned queues, unsigned workers, rte_mempool* pool);

  uint16_t id() const { return id_; }
  const rte_eth_dev_info& info() const { return info_; }
  unsigned queues_max() const { return info_.max_rx_queues; }
  int socket() const;  // NUMA node; 0 when the device has none
  uint16_t rx_queues() const { return rx_queues_; }
  uint16_t tx_queues() const { return tx_queues_; }
  /// By RX queue; empty when the device has no fds, or they could not be told apart.
  const std::vector<int>& wait_fds() const { return wait_fds_; }
  const RssState& rss() const { return rss_; }

 private:
  Ethdev() = default;
  Status configure(unsigned queues);
  Status set_up_queues(const PortPlan& port, rte_mempool* pool);

  std::string vdev_;  // empty: PCI
  bool started_ = false;
  uint16_t id_ = RTE_MAX_ETHPORTS;
  rte_eth_dev_info info_{};
  uint64_t rx_offloads_ = 0;
  bool rss_wanted_ = false;
  uint16_t rx_queues_ = 0;
  uint16_t tx_queues_ = 0;
  std::vector<int> wait_fds_;
  RssState rss_;
};

}  // namespace sluice::nic

// LogicalPort: the ethdevs of one port, seen as one port with queues 0..N-1. Made and closed by
// the ctrl thread.
#pragma once

#include <memory>
#include <vector>

#include "nic/ethdev.h"
#include "nic/interface.h"
#include "nic/port.h"
#include "nic/port_plan.h"

namespace sluice::nic {

class LogicalPort {
 public:
  /// Makes the devices; start() configures them. Errors are phrases about the device.
  static Result<LogicalPort> probe(PortPlan plan);

  LogicalPort(LogicalPort&&) = default;
  LogicalPort& operator=(LogicalPort&&) = delete;
  ~LogicalPort() { close(); }

  Status start(unsigned workers, rte_mempool* pool);
  void close();

  const PortPlan& plan() const { return plan_; }
  unsigned queues() const { return queues_; }  // known after probe()
  int socket() const { return ethdevs_.front()->socket(); }
  /// Packet buffers that its queues hold at most.
  uint32_t buffers() const { return queues_ * plan_.buffers_per_queue; }

  // After start():
  PortInfo describe() const;
  std::vector<RxQueue> rx_queues() const;
  std::vector<DeviceQueue> tx_queues() const;
  DeviceStats statistics() const;

 private:
  explicit LogicalPort(PortPlan plan) : plan_(std::move(plan)) {}
  Status make_ethdevs();
  Status start_ethdevs(unsigned workers, rte_mempool* pool);
  Status decide_queues();

  PortPlan plan_;
  std::vector<std::unique_ptr<Ethdev>> ethdevs_;
  unsigned queues_ = 0;
  AllMulticast all_multicast_;
};

}  // namespace sluice::nic

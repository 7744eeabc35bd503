// PortSet::open(): device strings → plans → devices → buffer pools → started queues → what each
// worker polls and sends on.
#include "nic/port_set.h"

#include <fmt/format.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

#include <algorithm>
#include <map>
#include <utility>

#include "dataplane/base/assert.h"
#include "nic/buffer_pool.h"
#include "nic/dpdk_port_set.h"
#include "nic/logical_port.h"
#include "nic/port_plan.h"

namespace sluice::nic {
namespace {

// What frames need outside of devices: bursts, the lcore's cache, and the rings to other workers,
// to ctrl and back.
constexpr uint32_t buffers_per_worker = 4096;
constexpr uint32_t buffers_of_main = 1024;

class OpenPorts final : public DpdkPortSet {
 public:
  ~OpenPorts() override { OpenPorts::close(); }

  Status open(const std::vector<PortOptions>& ports, unsigned workers);

  const std::vector<PortInfo>& ports() const override { return infos_; }
  const WorkerPorts& worker_ports(unsigned worker) const override { return workers_[worker]; }
  rte_mempool* pool(int socket) const override;
  DeviceStats statistics(uint8_t port) const override;
  void close() override;

 private:
  Status make_pools(unsigned workers);
  void assign_queues(unsigned workers);

  std::vector<LogicalPort> ports_;
  std::vector<PortInfo> infos_;
  std::vector<WorkerPorts> workers_;
  std::map<int, rte_mempool*> pools_;  // by NUMA socket
};

/// Worker w is EAL lcore w + 1 (start_eal).
int worker_socket(unsigned worker) { return static_cast<int>(rte_lcore_to_socket_id(worker + 1)); }

Status OpenPorts::open(const std::vector<PortOptions>& ports, unsigned workers) {
  Result<std::vector<PortPlan>> plans = plan_ports(ports, workers);
  if (!plans) return fail(plans.error().message);
  for (PortPlan& plan : *plans) {
    const PortOptions options = plan.options;
    Result<LogicalPort> port = LogicalPort::probe(std::move(plan));
    if (!port) return fail(port_error(options, port.error().message));
    ports_.push_back(std::move(*port));
  }
  if (Status status = make_pools(workers); !status) return status;
  for (LogicalPort& port : ports_) {
    if (Status status = port.start(workers, pool(port.socket())); !status) {
      return fail(port_error(port.plan().options, status.error().message));
    }
    infos_.push_back(port.describe());
  }
  assign_queues(workers);
  return {};
}

Status OpenPorts::make_pools(unsigned workers) {
  static unsigned sets = 0;  // pool names are unique in the process
  ++sets;
  std::map<int, uint32_t> buffers;  // by socket
  uint32_t frame_bytes_max = 0;
  for (const LogicalPort& port : ports_) {
    buffers[port.socket()] += port.buffers();
    frame_bytes_max = std::max(frame_bytes_max, port.plan().frame_bytes_max);
  }
  for (unsigned worker = 0; worker < workers; ++worker) {
    buffers[worker_socket(worker)] += buffers_per_worker;
  }
  for (const auto& [socket, count] : buffers) {
    const Result<rte_mempool*> pool =
        make_buffer_pool({.name = fmt::format("frames{}.{}", sets, socket),
                          .buffers = count + buffers_of_main,
                          .frame_bytes_max = frame_bytes_max,
                          .socket = socket});
    if (!pool) return fail(pool.error().message);
    pools_[socket] = *pool;
  }
  return {};
}

void OpenPorts::assign_queues(unsigned workers) {
  workers_.resize(workers);
  for (unsigned w = 0; w < workers; ++w) {
    workers_[w].worker = static_cast<uint16_t>(w);
    workers_[w].port_count = static_cast<uint8_t>(ports_.size());
    workers_[w].pool = pool(worker_socket(w));
  }
  for (const LogicalPort& port : ports_) {
    const std::vector<RxQueue> rx = port.rx_queues();
    for (size_t queue = 0; queue < rx.size(); ++queue) {
      workers_[queue % workers].rx.push_back(rx[queue]);
    }
    const std::vector<DeviceQueue> tx = port.tx_queues();
    for (unsigned w = 0; w < workers; ++w) {
      const auto queue = static_cast<uint16_t>(w % tx.size());
      workers_[w].tx[port.plan().id] = {tx[queue], queue};
    }
  }
  for (WorkerPorts& worker : workers_) {
    worker.sleeps_on_fds =
        std::ranges::all_of(worker.rx, [](const RxQueue& queue) { return queue.wait_fd >= 0; });
  }
}

rte_mempool* OpenPorts::pool(int socket) const {
  const auto found = pools_.find(socket);
  return found != pools_.end() ? found->second : pools_.begin()->second;
}

DeviceStats OpenPorts::statistics(uint8_t port) const {
  SLUICE_ASSERT(port < ports_.size());
  return ports_[port].statistics();
}

void OpenPorts::close() {
  ports_.clear();
  infos_.clear();
  workers_.clear();
  for (const auto& [socket, pool] : pools_) rte_mempool_free(pool);
  pools_.clear();
}

}  // namespace

Result<std::unique_ptr<PortSet>> PortSet::open(const std::vector<PortOptions>& ports,
                                               unsigned workers) {
  SLUICE_ASSERT(workers > 0 && workers <= workers_max);
  auto set = std::make_unique<OpenPorts>();
  if (Status status = set->open(ports, workers); !status) return fail(status.error().message);
  return set;
}

}  // namespace sluice::nic

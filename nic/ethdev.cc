#include "nic/ethdev.h"

#include <fmt/format.h>
#include <rte_bus_vdev.h>
#include <rte_errno.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "nic/log.h"
#include "nic/ring_port.h"
#include "nic/rss.h"

namespace sluice::nic {
namespace {

constexpr uint64_t rx_checksums =
    RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;

/// "cannot X: what the driver logged", or the error's name when it logged nothing.
std::unexpected<Error> driver_failure(std::string_view what, int error, LogCapture& log) {
  const std::string said = log.take();
  return fail(fmt::format("{}: {}", what, said.empty() ? rte_strerror(error) : said));
}

Result<uint16_t> find_pci(const std::string& address) {
  uint16_t id = 0;
  RTE_ETH_FOREACH_DEV(id) {
    rte_eth_dev_info info{};
    if (rte_eth_dev_info_get(id, &info) == 0 && info.device != nullptr &&
        address == rte_dev_name(info.device)) {
      return id;
    }
  }
  std::error_code error;
  const std::filesystem::path device = "/sys/bus/pci/devices/" + address;
  if (!std::filesystem::exists(device, error)) return fail("no such PCI device");
  const std::filesystem::path driver = std::filesystem::read_symlink(device / "driver", error);
  if (error) {
    return fail(
        fmt::format("no driver is bound to it; run: dpdk-devbind.py -b vfio-pci {}", address));
  }
  return fail(fmt::format(
      "DPDK did not take it; it is bound to the kernel driver {}; run: dpdk-devbind.py -b vfio-pci "
      "{}",
      driver.filename().string(), address));
}

Result<uint16_t> make_vdev(const EthdevPlan& plan) {
  LogCapture log;
  if (const int status = rte_vdev_init(plan.name.c_str(), plan.arguments.c_str()); status != 0) {
    return driver_failure("the driver refuses it", -status, log);
  }
  uint16_t id = 0;
  if (rte_eth_dev_get_port_by_name(plan.name.c_str(), &id) != 0) {
    rte_vdev_uninit(plan.name.c_str());
    return fail("it is not an ethernet device");
  }
  return id;
}

Result<uint16_t> make_device(const PortPlan& port, const EthdevPlan& plan) {
  switch (port.spec.kind) {
    case DeviceKind::pci:
      return find_pci(plan.name);
    case DeviceKind::ring:
      return make_ring_device(port.spec.target, port.queues_wanted);
    default:
      return make_vdev(plan);
  }
}

}  // namespace

Result<std::unique_ptr<Ethdev>> Ethdev::probe(const PortPlan& port, const EthdevPlan& plan) {
  // AF_PACKET makes its sockets here, AF_XDP and TAP theirs when a queue is set up.
  const WaitFds watch(port.fd_kind);
  const Result<uint16_t> id = make_device(port, plan);
  if (!id) return fail(id.error().message);
  std::unique_ptr<Ethdev> device(new Ethdev);
  device->id_ = *id;
  if (port.spec.kind != DeviceKind::pci) device->vdev_ = plan.name;
  if (port.fd_kind == FdKind::packet_socket) device->wait_fds_ = watch.opened();
  if (const int status = rte_eth_dev_info_get(*id, &device->info_); status != 0) {
    return fail(fmt::format("cannot read its capabilities: {}", rte_strerror(-status)));
  }
  return device;
}

int Ethdev::socket() const { return std::max(0, rte_eth_dev_socket_id(id_)); }

Status Ethdev::configure(unsigned queues) {
  rx_queues_ = static_cast<uint16_t>(queues);
  tx_queues_ = std::min(rx_queues_, info_.max_tx_queues);
  rte_eth_conf conf{};
  rx_offloads_ = info_.rx_offload_capa & rx_checksums;
  conf.rxmode.offloads = rx_offloads_;
  std::array<uint8_t, 64> key{};
  rss_wanted_ = add_rss(info_, queues, key, conf);
  LogCapture log;
  const int status = rte_eth_dev_configure(id_, rx_queues_, tx_queues_, &conf);
  if (status != 0) {
    return driver_failure(fmt::format("cannot configure {} queues", queues), -status, log);
  }
  return {};
}

Status Ethdev::set_up_queues(const PortPlan& port, rte_mempool* pool) {
  auto rx_descriptors = static_cast<uint16_t>(port.ring_descriptors);
  auto tx_descriptors = static_cast<uint16_t>(port.ring_descriptors);
  rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx_descriptors, &tx_descriptors);
  const auto socket_id = static_cast<unsigned>(socket());
  rte_eth_rxconf rx_conf = info_.default_rxconf;
  rx_conf.offloads = rx_offloads_;
  for (uint16_t queue = 0; queue < rx_queues_; ++queue) {
    LogCapture log;
    const WaitFds watch(port.fd_kind);
    const int status =
        rte_eth_rx_queue_setup(id_, queue, rx_descriptors, socket_id, &rx_conf, pool);
    if (status != 0) {
      return driver_failure(fmt::format("cannot set up RX queue {}", queue), -status, log);
    }
    const std::vector<int> opened = watch.opened();
    if (opened.size() == 1) wait_fds_.push_back(opened.front());
  }
  if (wait_fds_.size() != rx_queues_) wait_fds_.clear();
  for (uint16_t queue = 0; queue < tx_queues_; ++queue) {
    LogCapture log;
    if (const int status =
            rte_eth_tx_queue_setup(id_, queue, tx_descriptors, socket_id, &info_.default_txconf);
        status != 0) {
      return driver_failure(fmt::format("cannot set up TX queue {}", queue), -status, log);
    }
  }
  return {};
}

Status Ethdev::start(const PortPlan& port, unsigned queues, unsigned workers, rte_mempool* pool) {
  if (Status status = configure(queues); !status) return status;
  if (Status status = set_up_queues(port, pool); !status) return status;
  {
    LogCapture log;
    if (const int status = rte_eth_dev_start(id_); status != 0) {
      return driver_failure("cannot start it", -status, log);
    }
  }
  started_ = true;
  // Neighbour discovery comes to multicast MACs. Devices without a filter refuse, and need none.
  (void)rte_eth_allmulticast_enable(id_);
  if (rss_wanted_) {
    rss_ = program_rss(id_, info_, queues, workers);
  } else {
    rss_.agrees = rss_agrees(rss_, workers);
  }
  return {};
}

Ethdev::~Ethdev() {
  if (started_) rte_eth_dev_stop(id_);
  if (vdev_.empty()) {
    rte_eth_dev_close(id_);
  } else {
    rte_vdev_uninit(vdev_.c_str());
  }
  for (const int fd : wait_fds_) close_leaked_xdp_socket(fd);
}

}  // namespace sluice::nic

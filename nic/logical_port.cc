#include "nic/logical_port.h"

#include <fmt/format.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "nic/ring_port.h"

namespace sluice::nic {
namespace {

std::vector<std::string> capability_names(const rte_eth_dev_info& info, bool wait_fds) {
  std::vector<std::string> names;
  const auto add = [&](bool present, const char* name) {
    if (present) names.emplace_back(name);
  };
  add((info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0, "rx_ipv4_checksum");
  add((info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_CKSUM) != 0 &&
          (info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_UDP_CKSUM) != 0,
      "rx_l4_checksum");
  add((info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0, "tx_ipv4_checksum");
  add((info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0 &&
          (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0,
      "tx_l4_checksum");
  add((info.flow_type_rss_offloads &
       (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)) != 0,
      "rss");
  add(info.reta_size != 0, "rss_reta");
  add(info.max_rx_queues > 1, "multi_queue");
  add(wait_fds, "rx_wait_fd");
  return names;
}

bool is_zero(const rte_ether_addr& mac) { return rte_is_zero_ether_addr(&mac) != 0; }

/// A locally administered MAC that stays the same as long as the port keeps its name (FNV-1a).
rte_ether_addr mac_from_name(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  rte_ether_addr mac{};
  mac.addr_bytes[0] = 0x02;
  for (size_t i = 1; i < sizeof(mac.addr_bytes); ++i) {
    mac.addr_bytes[i] = static_cast<uint8_t>(hash >> (8 * i));
  }
  return mac;
}

/// Frames that AF_XDP had no room for. The driver's own count leaves full RX rings out.
uint64_t xdp_missed(int socket_fd) {
  xdp_statistics counts{};
  socklen_t bytes = sizeof(counts);
  if (getsockopt(socket_fd, SOL_XDP, XDP_STATISTICS, &counts, &bytes) != 0) return 0;
  return counts.rx_dropped + counts.rx_ring_full;
}

}  // namespace

Result<LogicalPort> LogicalPort::probe(PortPlan plan) {
  LogicalPort port(std::move(plan));
  if (Status status = port.make_ethdevs(); !status) return fail(status.error().message);
  if (Status status = port.decide_queues(); !status) return fail(status.error().message);
  if (port.plan_.interface) port.all_multicast_ = AllMulticast(port.plan_.interface->index);
  return port;
}

Status LogicalPort::make_ethdevs() {
  for (const EthdevPlan& ethdev : plan_.ethdevs) {
    Result<std::unique_ptr<Ethdev>> device = Ethdev::probe(plan_, ethdev);
    if (!device) return fail(device.error().message);
    ethdevs_.push_back(std::move(*device));
  }
  return {};
}

Status LogicalPort::decide_queues() {
  if (ethdevs_.size() > 1) {
    queues_ = static_cast<unsigned>(ethdevs_.size());
    return {};
  }
  const unsigned available = std::max(1u, ethdevs_.front()->queues_max());
  if (plan_.queues_exact && plan_.queues_wanted > available) {
    return fail(fmt::format("queues = {}, but the device has {}", plan_.queues_wanted, available));
  }
  queues_ = std::min({plan_.queues_wanted, available, queues_max});
  return {};
}

Status LogicalPort::start(unsigned workers, rte_mempool* pool) {
  Status status = start_ethdevs(workers, pool);
  for (int retry = 0; !status && retry < plan_.retries; ++retry) {
    // All over again: closing one AF_XDP device takes the program from the whole interface.
    ethdevs_.clear();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    status = make_ethdevs();
    if (status) status = start_ethdevs(workers, pool);
  }
  return status;
}

Status LogicalPort::start_ethdevs(unsigned workers, rte_mempool* pool) {
  const unsigned per_ethdev = queues_ / static_cast<unsigned>(ethdevs_.size());
  for (const auto& ethdev : ethdevs_) {
    if (Status status = ethdev->start(plan_, per_ethdev, workers, pool); !status) return status;
  }
  return {};
}

void LogicalPort::close() {
  if (ethdevs_.empty()) return;
  ethdevs_.clear();
  if (plan_.spec.kind == DeviceKind::ring) free_rings(plan_.spec.target);
}

PortInfo LogicalPort::describe() const {
  const Ethdev& first = *ethdevs_.front();
  PortInfo info;
  info.name = plan_.options.name;
  info.device = plan_.options.device;
  info.id = plan_.id;
  info.queues = queues_;
  info.driver = first.info().driver_name;
  info.sleeps_on_fd =
      std::ranges::all_of(ethdevs_, [](const auto& ethdev) { return !ethdev->wait_fds().empty(); });
  info.capabilities = capability_names(first.info(), info.sleeps_on_fd);
  info.rss = first.rss();
  if (plan_.interface) {
    info.mac = plan_.interface->mac;
    info.mtu = plan_.interface->mtu;
    return info;
  }
  rte_ether_addr mac{};
  if (rte_eth_macaddr_get(first.id(), &mac) != 0 || is_zero(mac)) {
    mac = mac_from_name(plan_.options.name);
    (void)rte_eth_dev_default_mac_addr_set(first.id(), &mac);  // a ring takes every frame anyway
  }
  std::ranges::copy(mac.addr_bytes, info.mac.bytes.begin());
  (void)rte_eth_dev_get_mtu(first.id(), &info.mtu);
  return info;
}

std::vector<RxQueue> LogicalPort::rx_queues() const {
  std::vector<RxQueue> queues;
  for (const auto& ethdev : ethdevs_) {
    for (uint16_t queue = 0; queue < ethdev->rx_queues(); ++queue) {
      const int fd = ethdev->wait_fds().empty() ? -1 : ethdev->wait_fds()[queue];
      queues.push_back({{ethdev->id(), queue}, plan_.id, fd});
    }
  }
  return queues;
}

std::vector<DeviceQueue> LogicalPort::tx_queues() const {
  std::vector<DeviceQueue> queues;
  for (const auto& ethdev : ethdevs_) {
    for (uint16_t queue = 0; queue < ethdev->tx_queues(); ++queue) {
      queues.push_back({ethdev->id(), queue});
    }
  }
  return queues;
}

DeviceStats LogicalPort::statistics() const {
  DeviceStats total;
  for (const auto& ethdev : ethdevs_) {
    rte_eth_stats stats{};
    if (rte_eth_stats_get(ethdev->id(), &stats) != 0) continue;
    total.rx_packets += stats.ipackets;
    total.rx_bytes += stats.ibytes;
    total.tx_packets += stats.opackets;
    total.tx_bytes += stats.obytes;
    total.rx_errors += stats.ierrors;
    total.tx_errors += stats.oerrors;
    total.rx_no_buffer += stats.rx_nombuf;
    if (plan_.fd_kind == FdKind::xdp_socket && !ethdev->wait_fds().empty()) {
      for (const int fd : ethdev->wait_fds()) total.rx_missed += xdp_missed(fd);
    } else {
      total.rx_missed += stats.imissed;
    }
  }
  if (plan_.interface) {
    // The drivers over kernel interfaces always call their link up.
    const Result<InterfaceInfo> now = read_interface(plan_.interface->name);
    total.link_up = now && now->up && now->running;
    return total;
  }
  rte_eth_link link{};
  if (rte_eth_link_get_nowait(ethdevs_.front()->id(), &link) == 0) {
    total.link_up = link.link_status == RTE_ETH_LINK_UP;
    if (link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN) total.link_mbps = link.link_speed;
  }
  return total;
}

}  // namespace sluice::nic

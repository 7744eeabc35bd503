#include "nic/port_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <string_view>

#include "nic/pcap_file.h"

namespace sluice::nic {
namespace {

constexpr unsigned af_packet_queues_max = 16;  // fixed in the driver
constexpr size_t ring_name_bytes_max = 20;     // DPDK's ring names have 28

// AF_XDP keeps a whole page per frame: 4096 bytes less DPDK's 192 of object and buffer headers,
// its headroom of 128, the kernel's of 256 and the Ethernet header.
constexpr unsigned af_xdp_mtu_max = 3506;
constexpr uint32_t af_xdp_descriptors = 2048;
// A full RX ring, a full TX ring, and sent frames that the driver has not taken back yet.
constexpr uint32_t af_xdp_buffers = 3 * af_xdp_descriptors;

constexpr uint32_t ethernet_bytes = 14;
constexpr uint32_t dpdk_headroom_bytes = 128;
constexpr uint32_t xdp_headroom_bytes = 256;

/// Appends "key=value" unless the user has set the key.
void add_default(std::string& arguments, std::string_view user, std::string_view key,
                 std::string_view value) {
  if (option_value(user, key).empty()) arguments += fmt::format(",{}={}", key, value);
}

void add_user(std::string& arguments, std::string_view user) {
  if (!user.empty()) arguments += fmt::format("{}{}", arguments.empty() ? "" : ",", user);
}

Status read_plan_interface(PortPlan& plan) {
  Result<InterfaceInfo> interface = read_interface(plan.spec.target);
  if (!interface) return fail(interface.error().message);
  if (!interface->up) {
    return fail(fmt::format("the interface is down; run: ip link set dev {} up", interface->name));
  }
  plan.interface = std::move(*interface);
  return {};
}

Status check_af_xdp(const PortPlan& plan) {
  const InterfaceInfo& interface = *plan.interface;
  if (interface.mtu > af_xdp_mtu_max) {
    return fail(
        fmt::format("MTU {} is too large for AF_XDP, which takes {}; run: ip link set dev "
                    "{} mtu {}",
                    interface.mtu, af_xdp_mtu_max, interface.name, af_xdp_mtu_max));
  }
  const unsigned wanted = plan.options.queues;
  if (wanted > interface.rx_queues) {
    return fail(fmt::format("queues = {}, but the interface has {}", wanted, interface.rx_queues));
  }
  if (wanted != 0 && wanted < interface.rx_queues) {
    const std::string shrink =
        interface.combined_queues == 0
            ? std::string()
            : fmt::format(" or run: ethtool -L {} combined {}", interface.name, wanted);
    return fail(fmt::format(
        "queues = {}, but the interface has {} and the kernel would keep what comes to the others; "
        "set queues = {}{}",
        wanted, interface.rx_queues, interface.rx_queues, shrink));
  }
  if (interface.rx_queues > queues_max) {
    return fail(
        fmt::format("the interface has {0} queues, at most {1} are possible; run: ethtool "
                    "-L {2} combined {1}",
                    interface.rx_queues, queues_max, interface.name));
  }
  return {};
}

Status plan_af_xdp(PortPlan& plan) {
  if (Status status = read_plan_interface(plan); !status) return status;
  if (Status status = check_af_xdp(plan); !status) return status;
  const InterfaceInfo& interface = *plan.interface;
  const unsigned queues = interface.rx_queues;
  // The driver opens several queues only where RX and TX queues are combined. veth has none such:
  // there every queue becomes an ethdev.
  const unsigned per_ethdev = interface.combined_queues >= queues ? queues : 1;
  for (unsigned first = 0; first < queues; first += per_ethdev) {
    std::string arguments =
        fmt::format("iface={},start_queue={},queue_count={}", interface.name, first, per_ethdev);
    // Busy polling drives a real NIC's interrupt work from the worker; on veth it is a system call
    // for nothing in each empty poll.
    if (interface.combined_queues == 0) {
      add_default(arguments, plan.spec.options, "busy_budget", "0");
    }
    add_user(arguments, plan.spec.options);
    plan.ethdevs.push_back({fmt::format("net_af_xdp_p{}q{}", plan.id, first), arguments});
  }
  plan.queues_wanted = queues;
  plan.queues_exact = true;
  plan.fd_kind = FdKind::xdp_socket;
  // The kernel frees the queues of a closed XDP socket a moment later: a process that replaces
  // another one may come too early.
  plan.retries = 5;
  plan.ring_descriptors = af_xdp_descriptors;
  plan.buffers_per_queue = af_xdp_buffers;
  plan.frame_bytes_max = interface.mtu + ethernet_bytes + dpdk_headroom_bytes + xdp_headroom_bytes;
  return {};
}

Status plan_af_packet(PortPlan& plan, unsigned workers) {
  if (Status status = read_plan_interface(plan); !status) return status;
  if (plan.options.queues > af_packet_queues_max) {
    return fail(fmt::format("queues = {}, but AF_PACKET has at most {}", plan.options.queues,
                            af_packet_queues_max));
  }
  plan.queues_wanted =
      plan.options.queues != 0 ? plan.options.queues : std::min(workers, af_packet_queues_max);
  plan.queues_exact = true;
  const InterfaceInfo& interface = *plan.interface;
  constexpr uint32_t packet_header_bytes = 128;  // tpacket2_hdr, address and alignment
  const uint32_t frame =
      std::max<uint32_t>(2048, std::bit_ceil(interface.mtu + ethernet_bytes + packet_header_bytes));
  std::string arguments = fmt::format("iface={},qpairs={}", interface.name, plan.queues_wanted);
  add_default(arguments, plan.spec.options, "framesz", fmt::to_string(frame));
  add_default(arguments, plan.spec.options, "blocksz", fmt::to_string(std::max(frame, 4096u)));
  add_default(arguments, plan.spec.options, "qdisc_bypass", "1");
  add_user(arguments, plan.spec.options);
  plan.ethdevs.push_back({fmt::format("net_af_packet_p{}", plan.id), arguments});
  plan.fd_kind = FdKind::packet_socket;
  plan.frame_bytes_max = frame + dpdk_headroom_bytes;
  return {};
}

Status plan_pcap(PortPlan& plan) {
  const Result<uint64_t> packets = count_pcap_packets(plan.spec.target);
  if (!packets) return fail(packets.error().message);
  // Each queue replays the file, so there is one unless more are asked for.
  plan.queues_wanted = std::max(1u, plan.options.queues);
  plan.queues_exact = true;
  std::string arguments;
  for (unsigned queue = 0; queue < plan.queues_wanted; ++queue) {
    arguments += fmt::format("{}rx_pcap={}", queue == 0 ? "" : ",", plan.spec.target);
  }
  add_user(arguments, plan.spec.options);
  plan.ethdevs.push_back({fmt::format("net_pcap_p{}", plan.id), arguments});
  if (option_value(plan.spec.options, "infinite_rx") == "1") {
    plan.buffers_per_queue = static_cast<uint32_t>(*packets);  // it keeps them all in buffers
  }
  return {};
}

Status plan_ring(PortPlan& plan) {
  if (plan.spec.target.empty()) plan.spec.target = plan.options.name;
  if (plan.spec.target.size() > ring_name_bytes_max) {
    return fail(fmt::format("the name of the ring is longer than {} bytes", ring_name_bytes_max));
  }
  plan.queues_exact = true;
  plan.ethdevs.push_back({fmt::format("net_ring_{}", plan.spec.target), {}});
  return {};
}

FdKind vdev_fd_kind(std::string_view name) {
  if (name.starts_with("net_tap")) return FdKind::tun;
  if (name.starts_with("net_af_packet")) return FdKind::packet_socket;
  if (name.starts_with("net_af_xdp")) return FdKind::xdp_socket;
  return FdKind::none;
}

Status plan_by_kind(PortPlan& plan, unsigned workers) {
  std::string arguments = plan.spec.options;
  switch (plan.spec.kind) {
    case DeviceKind::af_xdp:
      return plan_af_xdp(plan);
    case DeviceKind::af_packet:
      return plan_af_packet(plan, workers);
    case DeviceKind::pcap:
      return plan_pcap(plan);
    case DeviceKind::ring:
      return plan_ring(plan);
    case DeviceKind::memif:
      arguments = fmt::format("socket={},socket-abstract=no", plan.spec.target);
      add_user(arguments, plan.spec.options);
      plan.ethdevs.push_back({fmt::format("net_memif_p{}", plan.id), arguments});
      return {};
    case DeviceKind::null:
      plan.ethdevs.push_back({fmt::format("net_null_p{}", plan.id), arguments});
      return {};
    case DeviceKind::vdev:
      plan.fd_kind = vdev_fd_kind(plan.spec.target);
      plan.ethdevs.push_back({plan.spec.target, arguments});
      return {};
    case DeviceKind::pci:
      plan.ethdevs.push_back({plan.spec.target, {}});
      plan.buffers_per_queue = 2 * plan.ring_descriptors;
      return {};
  }
  return {};
}

}  // namespace

Result<PortPlan> plan_port(const PortOptions& options, uint8_t id, unsigned workers) {
  Result<DeviceSpec> spec = parse_device(options.device);
  if (!spec) return fail(spec.error().message);
  if (options.queues > queues_max) {
    return fail(fmt::format("queues = {}, at most {} are possible", options.queues, queues_max));
  }
  PortPlan plan;
  plan.options = options;
  plan.id = id;
  plan.spec = std::move(*spec);
  plan.queues_wanted = options.queues != 0 ? options.queues : workers;
  plan.queues_exact = options.queues != 0;
  if (Status status = plan_by_kind(plan, workers); !status) return fail(status.error().message);
  return plan;
}

Result<std::vector<PortPlan>> plan_ports(const std::vector<PortOptions>& ports, unsigned workers) {
  if (ports.empty()) return fail("there is no port");
  if (ports.size() > ports_max) {
    return fail(fmt::format("{} ports, at most {} are possible", ports.size(), ports_max));
  }
  std::vector<PortPlan> plans;
  std::map<std::string, std::string> users;  // resource → port
  for (const PortOptions& options : ports) {
    Result<PortPlan> plan = plan_port(options, static_cast<uint8_t>(plans.size()), workers);
    if (!plan) return fail(port_error(options, plan.error().message));
    const std::string resource = exclusive_resource(plan->spec);
    if (!resource.empty()) {
      const auto [user, is_new] = users.try_emplace(resource, options.name);
      if (!is_new) {
        return fail(
            port_error(options, fmt::format("{} is port {}'s already", resource, user->second)));
      }
    }
    plans.push_back(std::move(*plan));
  }
  return plans;
}

std::string port_error(const PortOptions& options, std::string_view reason) {
  return fmt::format("port {}: {}: {}", options.name, options.device, reason);
}

}  // namespace sluice::nic

#include "ctrl/control/snat_ports.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <set>

#include "ctrl/control/whole_file.h"

namespace sluice::ctrl {
namespace {

constexpr const char* range_file = "/proc/sys/net/ipv4/ip_local_port_range";
constexpr uint32_t first_port = 1024;
constexpr unsigned ports_min = 1024;

void clear(model::SnatPortSet& ports, uint32_t first, uint32_t last) {
  for (uint32_t port = first; port <= last; port++) ports[port / 64] &= ~(1ull << (port % 64));
}

}  // namespace

Result<PortRange> parse_port_range(std::string_view text) {
  PortRange range;
  const auto number = [&](uint16_t& into) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return error == std::errc{};
  };
  if (number(range.first) && number(range.second) && range.first <= range.second) return range;
  return fail(fmt::format("{} does not hold two ports", range_file));
}

Result<PortRange> kernel_port_range() {
  auto text = read_whole_file(range_file, 4096);
  if (!text) return std::unexpected(text.error());
  return parse_port_range(*text);
}

Result<model::SnatPortSet> snat_ports(const Config& config, PortRange kernel) {
  model::SnatPortSet ports(65'536 / 64, ~0ull);
  clear(ports, 0, first_port - 1);
  clear(ports, kernel.first, kernel.second);
  std::set<IpAddress> own;
  for (const PortConfig& port : config.ports) {
    for (const Prefix& address : port.addresses) own.insert(address.address);
    own.insert(port.snat_addresses.begin(), port.snat_addresses.end());
  }
  for (const ListenerConfig& listener : config.listeners) {
    if (own.contains(listener.address)) clear(ports, listener.port_first, listener.port_last);
  }
  unsigned left = 0;
  for (const uint64_t word : ports) left += static_cast<unsigned>(std::popcount(word));
  if (left >= ports_min) return ports;
  return fail(
      fmt::format("only {} ports are left for SNAT beside the kernel's {}..{}; narrow "
                  "net.ipv4.ip_local_port_range or the listeners on the ports' own addresses",
                  left, kernel.first, kernel.second));
}

}  // namespace sluice::ctrl

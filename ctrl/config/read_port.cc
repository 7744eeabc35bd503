#include <fmt/format.h>

#include <algorithm>

#include "ctrl/config/draft.h"
#include "ctrl/config/values.h"

namespace sluice::ctrl {
namespace {

constexpr size_t port_name_bytes_max = 11;  // "tap-" and the name fit an interface name
constexpr size_t interface_name_bytes_max = 15;
constexpr size_t device_bytes_max = 1024;
constexpr uint64_t queues_max = 64;
constexpr size_t addresses_max = 256;

bool is_port_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

std::optional<std::string> read_port_name(const Value& value) {
  const std::string& text = value.node().text;
  if (value.node().kind == DocumentNode::Kind::string && !text.empty() &&
      text.size() <= port_name_bytes_max && std::ranges::all_of(text, is_port_name_character)) {
    return text;
  }
  value.reject_found(fmt::format("1 to {} of a-z, 0-9 and \"-\"", port_name_bytes_max));
  return std::nullopt;
}

std::optional<std::string> read_interface_name(const Value& value) {
  const std::string& text = value.node().text;
  const bool fits = value.node().kind == DocumentNode::Kind::string && !text.empty() &&
                    text.size() <= interface_name_bytes_max && text != "." && text != "..";
  const auto allowed = [](char c) {
    return c > ' ' && c < 0x7f && c != '/' && c != ':' && c != '%';
  };
  if (fits && std::ranges::all_of(text, allowed)) return text;
  value.reject_found(
      fmt::format("an interface name of 1 to {} characters", interface_name_bytes_max));
  return std::nullopt;
}

void read_addresses(TableReader& table, PortConfig& port, PortPlaces& places) {
  if (const auto addresses = table.optional("addresses")) {
    const auto items = addresses->items("addresses", 0, addresses_max);
    for (const Value& item : items.value_or(std::vector<Value>{})) {
      const auto address = read_interface_address(item);
      if (!address) continue;
      port.addresses.push_back(*address);
      places.addresses.push_back(item);
    }
  }
  if (const auto addresses = table.optional("snat_addresses")) {
    const auto items = addresses->items("addresses", 0, addresses_max);
    for (const Value& item : items.value_or(std::vector<Value>{})) {
      const auto address = read_host_address(item);
      if (!address) continue;
      port.snat_addresses.push_back(*address);
      places.snat_addresses.push_back(item);
    }
  }
}

}  // namespace

void read_port(const Value& value, Draft& draft) {
  TableReader table(value);
  PortConfig port;
  PortPlaces places;
  if (auto name = table.required("name")) {
    if (auto text = read_port_name(*name)) {
      port.name = *text;
      places.name = std::move(name);
    }
  }
  port.tap = "tap-" + port.name;
  if (auto device = table.required("device")) {
    if (auto text = device->text(device_bytes_max)) {
      port.device = *text;
      places.device = std::move(device);
    }
  }
  if (const auto queues = table.optional("queues")) {
    port.queues = queues->integer(0, queues_max).value_or(0);
  }
  read_addresses(table, port, places);
  if (auto tap = table.optional("tap")) {
    const auto text = read_interface_name(*tap);
    places.tap_is_bad = !text;
    if (text) {
      port.tap = *text;
      places.tap = std::move(tap);
    }
  }
  table.finish();
  draft.config.ports.push_back(std::move(port));
  draft.ports.push_back(std::move(places));
}

}  // namespace sluice::ctrl

#include "nic/device_spec.h"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <vector>

#include "nic/port_set.h"

namespace sluice::nic {
namespace {

constexpr std::string_view forms =
    "a PCI address, af_xdp:IFACE, af_packet:IFACE, memif:SOCKET, ring:NAME, null, pcap:FILE or a "
    "DPDK device such as net_tap0,iface=x";

struct Form {
  std::string_view word;
  DeviceKind kind;
  bool needs_target;
  std::string_view target_name;
  std::vector<std::string_view> options;  // that the driver knows and that are the user's to set
};

const std::array<Form, 6>& known_forms() {
  static const std::array<Form, 6> table = {{
      {"af_xdp", DeviceKind::af_xdp, true, "IFACE", {"busy_budget", "force_copy", "xdp_prog"}},
      {"af_packet",
       DeviceKind::af_packet,
       true,
       "IFACE",
       {"blocksz", "framesz", "framecnt", "qdisc_bypass"}},
      {"memif",
       DeviceKind::memif,
       true,
       "SOCKET",
       {"role", "id", "bsize", "rsize", "mac", "zero-copy", "secret"}},
      {"ring", DeviceKind::ring, false, "NAME", {}},
      {"null", DeviceKind::null, false, "", {"size", "copy", "no-rx"}},
      {"pcap", DeviceKind::pcap, true, "FILE", {"infinite_rx", "tx_pcap", "tx_iface"}},
  }};
  return table;
}

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isxdigit(c) != 0; });
}

/// "0000:3b:00.0" or "3b:00.0" → the long form in lower case; empty when it is neither.
std::string pci_address(std::string_view text) {
  std::string address(text.size() == 7 ? fmt::format("0000:{}", text) : text);
  const std::string_view view = address;
  if (view.size() != 12 || !is_hex(view.substr(0, 4), 4) || view[4] != ':' ||
      !is_hex(view.substr(5, 2), 2) || view[7] != ':' || !is_hex(view.substr(8, 2), 2) ||
      view[10] != '.' || view[11] < '0' || view[11] > '7') {
    return {};
  }
  std::ranges::transform(address, address.begin(), [](unsigned char c) { return std::tolower(c); });
  return address;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return parts;
}

Status check_options(std::string_view options, std::span<const std::string_view> known) {
  for (const std::string_view option : split(options, ',')) {
    const size_t equals = option.find('=');
    if (equals == 0 || equals == std::string_view::npos || equals + 1 == option.size()) {
      return fail(fmt::format("option \"{}\" is not of the form key=value", option));
    }
    const std::string_view key = option.substr(0, equals);
    if (std::ranges::find(known, key) == known.end()) {
      return fail(known.empty() ? fmt::format("unknown option \"{}\"; it has none", key)
                                : fmt::format("unknown option \"{}\"; it has {}", key,
                                              fmt::join(known, ", ")));
    }
  }
  return {};
}

Status check_interface_name(std::string_view name) {
  const auto bad = [](unsigned char c) { return c == '/' || c == ':' || std::isspace(c) != 0; };
  if (name.size() >= IFNAMSIZ || std::ranges::any_of(name, bad)) {
    return fail(fmt::format("\"{}\" cannot be the name of an interface", name));
  }
  return {};
}

Result<DeviceSpec> parse_form(const Form& form, std::string_view target, std::string_view options) {
  if (form.needs_target && target.empty()) {
    return fail(fmt::format("{0} needs what it stands on: {0}:{1}", form.word, form.target_name));
  }
  if (!target.empty() && form.target_name.empty()) {
    return fail(fmt::format("{0} takes no \":{1}\"", form.word, target));
  }
  if (form.target_name == "IFACE") {
    if (Status status = check_interface_name(target); !status) return fail(status.error().message);
  }
  if (Status status = check_options(options, form.options); !status) {
    return fail(fmt::format("{}: {}", form.word, status.error().message));
  }
  return DeviceSpec{form.kind, std::string(target), std::string(options)};
}

}  // namespace

Result<DeviceSpec> parse_device(std::string_view device) {
  const size_t comma = device.find(',');
  const std::string_view head = device.substr(0, comma);
  const std::string_view options =
      comma == std::string_view::npos ? std::string_view() : device.substr(comma + 1);
  if (head.empty()) return fail(fmt::format("the device is empty; it is {}", forms));
  if (std::string address = pci_address(head); !address.empty()) {
    return DeviceSpec{DeviceKind::pci, std::move(address), std::string(options)};
  }
  const size_t colon = head.find(':');
  const std::string_view word = head.substr(0, colon);
  const std::string_view target =
      colon == std::string_view::npos ? std::string_view() : head.substr(colon + 1);
  for (const Form& form : known_forms()) {
    if (word == form.word) return parse_form(form, target, options);
  }
  if (head.starts_with("net_") || head.starts_with("eth_")) {
    return DeviceSpec{DeviceKind::vdev, std::string(head), std::string(options)};
  }
  return fail(fmt::format("\"{}\" is no device; it is {}", word, forms));
}

std::string exclusive_resource(const DeviceSpec& spec) {
  switch (spec.kind) {
    case DeviceKind::pci:
      return fmt::format("PCI device {}", spec.target);
    case DeviceKind::af_xdp:
    case DeviceKind::af_packet:
      return fmt::format("interface {}", spec.target);
    case DeviceKind::memif: {
      const std::string id = option_value(spec.options, "id");
      const std::string role = option_value(spec.options, "role");
      return fmt::format("memif {} id {} as {}", spec.target, id.empty() ? "0" : id,
                         role.empty() ? "server" : role);
    }
    case DeviceKind::ring:
      return spec.target.empty() ? std::string() : fmt::format("ring {}", spec.target);
    case DeviceKind::vdev:
      return fmt::format("device {}", spec.target);
    case DeviceKind::null:
    case DeviceKind::pcap:
      return {};
  }
  return {};
}

std::string option_value(std::string_view options, std::string_view key) {
  for (const std::string_view option : split(options, ',')) {
    const size_t equals = option.find('=');
    if (option.substr(0, equals) == key && equals != std::string_view::npos) {
      return std::string(option.substr(equals + 1));
    }
  }
  return {};
}

Status check_device(const std::string& device) {
  if (Result<DeviceSpec> spec = parse_device(device); !spec) return fail(spec.error().message);
  return {};
}

}  // namespace sluice::nic

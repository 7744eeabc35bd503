#include "ctrl/config/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "ctrl/config/text.h"

namespace sluice::ctrl {
namespace {

constexpr size_t address_bytes_max = 64;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Why a packet to this address reaches no single machine; nothing when it does.
std::optional<std::string_view> why_not_unicast(const IpAddress& address) {
  const auto& b = address.bytes;
  if (address.family == Family::v4) {
    if (b[0] == 0) return "an address of \"this network\"";
    if (b[0] == 127) return "a loopback address";
    if (b[0] >= 224 && b[0] < 240) return "a multicast address";
    if (b[0] >= 240) return "a reserved address";
    return std::nullopt;
  }
  const bool zero_14 =
      std::all_of(b.begin(), b.begin() + 10, [](uint8_t byte) { return byte == 0; });
  if (zero_14 && b[10] == 0xff && b[11] == 0xff) return "an IPv4-mapped address";
  if (b[0] == 0xff) return "a multicast address";
  if (std::all_of(b.begin(), b.end() - 1, [](uint8_t byte) { return byte == 0; })) {
    if (b[15] == 0) return "the unspecified address";
    if (b[15] == 1) return "the loopback address";
  }
  return std::nullopt;
}

bool is_link_local(const IpAddress& address) {
  const auto& b = address.bytes;
  if (address.family == Family::v4) return b[0] == 169 && b[1] == 254;
  return b[0] == 0xfe && (b[1] & 0xc0) == 0x80;
}

// The address with every bit after the first `length` set to `ones`.
IpAddress fill_host_bits(const Prefix& prefix, bool ones) {
  IpAddress address = prefix.address;
  const unsigned bits = address.family == Family::v4 ? 32 : 128;
  for (unsigned bit = prefix.length; bit < bits; ++bit) {
    const uint8_t mask = 0x80 >> (bit % 8);
    uint8_t& byte = address.bytes[bit / 8];
    byte = ones ? byte | mask : byte & ~mask;
  }
  return address;
}

bool has_slash(const Value& value) { return value.node().text.find('/') != std::string::npos; }

std::optional<Prefix> parse_prefix_of(const Value& value) {
  if (value.node().kind != DocumentNode::Kind::string) return std::nullopt;
  if (value.node().text.size() > address_bytes_max) return std::nullopt;
  const auto prefix = parse_prefix(value.node().text);
  return prefix ? std::optional(*prefix) : std::nullopt;
}

std::optional<uint8_t> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

std::optional<uint16_t> port_number(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

}  // namespace

std::optional<std::string> read_name(const Value& value) {
  const std::string& text = value.node().text;
  const bool fits = value.node().kind == DocumentNode::Kind::string && !text.empty() &&
                    text.size() <= name_bytes_max && is_alphanumeric(text[0]);
  const auto allowed = [](char c) {
    return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
  };
  if (fits && std::ranges::all_of(text, allowed)) return text;
  value.reject_found(
      fmt::format("1 to {} letters, digits, \".\", \"_\" and \"-\", a letter or "
                  "digit first",
                  name_bytes_max));
  return std::nullopt;
}

std::optional<IpAddress> read_host_address(const Value& value) {
  const std::string& text = value.node().text;
  const bool fits =
      value.node().kind == DocumentNode::Kind::string && text.size() <= address_bytes_max;
  const auto address = parse_ip(fits ? text : "");
  if (!address) {
    value.reject_found("an IP address such as \"10.0.0.1\" or \"fd00::1\"");
    return std::nullopt;
  }
  auto reason = why_not_unicast(*address);
  if (!reason && is_link_local(*address)) reason = "a link-local address";
  if (!reason) return *address;
  value.reject(fmt::format("{} is {}, it cannot be used here", to_string(*address), *reason));
  return std::nullopt;
}

std::optional<Prefix> read_interface_address(const Value& value) {
  const auto prefix = parse_prefix_of(value);
  if (!prefix || !has_slash(value) || prefix->length == 0) {
    value.reject_found("an address with its prefix length such as \"10.0.0.2/24\"");
    return std::nullopt;
  }
  const IpAddress& address = prefix->address;
  if (const auto reason = why_not_unicast(address)) {
    value.reject(fmt::format("{} is {}, it cannot be used here", to_string(address), *reason));
    return std::nullopt;
  }
  const bool has_broadcast = address.family == Family::v4 && prefix->length <= 30;
  for (const bool ones : {false, true}) {
    if (!has_broadcast || address != fill_host_bits(*prefix, ones)) continue;
    value.reject(fmt::format("{} is the {} address of its network, give the port's own address",
                             to_string(address), ones ? "broadcast" : "network"));
    return std::nullopt;
  }
  return prefix;
}

std::optional<Prefix> read_network(const Value& value) {
  const auto prefix = parse_prefix_of(value);
  if (!prefix) {
    value.reject_found("a network such as \"10.0.0.0/8\" or \"fd00::/16\"");
    return std::nullopt;
  }
  const Prefix network{fill_host_bits(*prefix, false), prefix->length};
  if (network == *prefix) return network;
  value.reject(fmt::format("{} has bits after its prefix, did you mean {}?",
                           in_quotes(value.node().text), in_quotes(to_string(network))));
  return std::nullopt;
}

std::optional<HashKey> read_hash_key(const Value& value) {
  // The key is a secret: messages do not repeat it.
  const std::string& text = value.node().text;
  HashKey key;
  bool good =
      value.node().kind == DocumentNode::Kind::string && text.size() == 2 * key.bytes.size();
  for (size_t i = 0; good && i < key.bytes.size(); ++i) {
    const auto high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    good = high && low;
    if (good) key.bytes[i] = *high << 4 | *low;
  }
  if (good) return key;
  value.reject("must be a string of 32 hexadecimal digits (openssl rand -hex 16)");
  return std::nullopt;
}

std::optional<std::pair<uint16_t, uint16_t>> read_port_range(const Value& value) {
  const std::string_view text = value.node().text;
  const size_t dash = text.find('-');
  if (value.node().kind == DocumentNode::Kind::string && dash != std::string_view::npos) {
    const auto first = port_number(text.substr(0, dash));
    const auto last = port_number(text.substr(dash + 1));
    if (first && last && *first <= *last) return std::pair(*first, *last);
  }
  value.reject_found("two ports 1..65535, the lower first, such as \"8000-8100\"");
  return std::nullopt;
}

std::string_view family_name(Family family) { return family == Family::v4 ? "IPv4" : "IPv6"; }

}  // namespace sluice::ctrl

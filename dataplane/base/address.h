// Network addresses as values: MAC, IPv4/IPv6, prefix, endpoint. Any thread; parsing and
// formatting are cold. Bytes are in network order, ports in host order.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/result.h"

namespace sluice {

enum class Family : uint8_t { v4 = 4, v6 = 6 };

struct MacAddress {
  std::array<uint8_t, 6> bytes{};
  auto operator<=>(const MacAddress&) const = default;
};

/// An IPv4 address uses the first 4 bytes and leaves the others zero.
struct IpAddress {
  Family family = Family::v4;
  std::array<uint8_t, 16> bytes{};
  auto operator<=>(const IpAddress&) const = default;

  /// The IPv4 address as its four bytes lie in a packet.
  uint32_t v4_raw() const { return load<uint32_t>(bytes.data()); }
  static IpAddress from_v4_raw(uint32_t raw) {
    IpAddress address;
    store(address.bytes.data(), raw);
    return address;
  }
  static IpAddress from_v6(const std::array<uint8_t, 16>& raw) { return {Family::v6, raw}; }
};

/// An address with a prefix length; host bits are kept ("10.0.0.2/24" is a port's address).
struct Prefix {
  IpAddress address;
  uint8_t length = 0;
  auto operator<=>(const Prefix&) const = default;

  /// True when `other` is of the same family and inside this network.
  bool contains(const IpAddress& other) const;
};

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
};

Result<MacAddress> parse_mac(std::string_view text);
Result<IpAddress> parse_ip(std::string_view text);
/// "10.0.0.2/24"; without a slash the prefix is the whole address.
Result<Prefix> parse_prefix(std::string_view text);
/// "10.0.0.1:80", "[fd00::1]:80".
Result<Endpoint> parse_endpoint(std::string_view text);

std::string to_string(const MacAddress& mac);
std::string to_string(const IpAddress& address);
std::string to_string(const Prefix& prefix);
std::string to_string(const Endpoint& endpoint);

}  // namespace sluice

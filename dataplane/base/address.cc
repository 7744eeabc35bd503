#include "dataplane/base/address.h"

#include <arpa/inet.h>

#include <charconv>

namespace sluice {
namespace {

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

/// A decimal number without sign, spaces or leading zeros; -1 when it is none or above `max`.
int parse_decimal(std::string_view text, int max) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return -1;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text[0] == '-') return -1;
  return value <= max ? value : -1;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

uint8_t bits_of(Family family) { return family == Family::v4 ? 32 : 128; }

}  // namespace

Result<MacAddress> parse_mac(std::string_view text) {
  const auto error = [&] {
    return fail(quoted(text) + " is not a MAC address like 02:00:00:00:00:01");
  };
  if (text.size() != 17) return error();
  MacAddress mac;
  for (size_t i = 0; i < mac.bytes.size(); ++i) {
    const int high = hex_digit(text[i * 3]);
    const int low = hex_digit(text[i * 3 + 1]);
    if (high < 0 || low < 0) return error();
    if (i > 0 && text[i * 3 - 1] != ':') return error();
    mac.bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return mac;
}

Result<IpAddress> parse_ip(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN] = {};
  const bool has_nul = text.find('\0') != std::string_view::npos;
  if (!text.empty() && text.size() < sizeof(terminated) && !has_nul) {
    text.copy(terminated, text.size());
    IpAddress address;
    address.family = text.find(':') == std::string_view::npos ? Family::v4 : Family::v6;
    const int af = address.family == Family::v4 ? AF_INET : AF_INET6;
    if (inet_pton(af, terminated, address.bytes.data()) == 1) return address;
  }
  return fail(quoted(text) + " is not an IPv4 or IPv6 address");
}

Result<Prefix> parse_prefix(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) return std::unexpected(address.error());
  const uint8_t bits = bits_of(address->family);
  if (slash == std::string_view::npos) return Prefix{*address, bits};
  const int length = parse_decimal(text.substr(slash + 1), bits);
  if (length < 0) {
    return fail(quoted(text) + ": the prefix length must be 0 to " + std::to_string(bits));
  }
  return Prefix{*address, static_cast<uint8_t>(length)};
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return fail(quoted(text) + " has no port; write 10.0.0.1:80 or [fd00::1]:80");
  }
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = parse_ip(host);
  if (!address || (address->family == Family::v6) != bracketed) {
    return fail(quoted(text) + " is not an endpoint like 10.0.0.1:80 or [fd00::1]:80");
  }
  const int port = parse_decimal(text.substr(colon + 1), 65'535);
  if (port < 1) return fail(quoted(text) + ": the port must be 1 to 65535");
  return Endpoint{*address, static_cast<uint16_t>(port)};
}

bool Prefix::contains(const IpAddress& other) const {
  if (other.family != address.family) return false;
  const size_t whole = length / 8;
  if (std::memcmp(address.bytes.data(), other.bytes.data(), whole) != 0) return false;
  const unsigned rest = length % 8;
  return rest == 0 || (address.bytes[whole] ^ other.bytes[whole]) >> (8 - rest) == 0;
}

std::string to_string(const MacAddress& mac) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : mac.bytes) {
    if (!text.empty()) text += ':';
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string to_string(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN];
  const int af = address.family == Family::v4 ? AF_INET : AF_INET6;
  return inet_ntop(af, address.bytes.data(), text, sizeof(text));
}

std::string to_string(const Prefix& prefix) {
  return to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

std::string to_string(const Endpoint& endpoint) {
  const std::string address = to_string(endpoint.address);
  const std::string port = std::to_string(endpoint.port);
  return endpoint.address.family == Family::v4 ? address + ":" + port : "[" + address + "]:" + port;
}

}  // namespace sluice

// Frames for tests: built from a description with correct checksums, and checked by sums that share
// no code with the product. Header-only, needs no test framework; any test may include it.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/tuple.h"

namespace sluice::test {

using Bytes = std::vector<uint8_t>;

/// One's complement sum, byte by byte, big-endian: the text of RFC 1071, not its tricks.
inline uint16_t naive_sum(std::span<const uint8_t> bytes, uint32_t start = 0) {
  uint32_t sum = start;
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? uint32_t{bytes[i]} << 8 : bytes[i];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

inline void put16(Bytes& to, uint32_t value) {
  to.push_back(static_cast<uint8_t>(value >> 8));
  to.push_back(static_cast<uint8_t>(value));
}
inline void put32(Bytes& to, uint32_t value) {
  put16(to, value >> 16);
  put16(to, value & 0xffff);
}
inline void set16(Bytes& to, size_t at, uint32_t value) {
  to.at(at) = static_cast<uint8_t>(value >> 8);
  to.at(at + 1) = static_cast<uint8_t>(value);
}
inline uint16_t get16(std::span<const uint8_t> from, size_t at) {
  return static_cast<uint16_t>(from[at] << 8 | from[at + 1]);
}
inline void append(Bytes& to, std::span<const uint8_t> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

/// An extension header of IPv6: the builder writes next header and length, `body` the rest
/// (6 bytes, or 6 + 8n).
struct Extension {
  uint8_t kind = 60;
  Bytes body = Bytes(6, 0);
};

/// What to build. The family is that of `source`. Defaults make a plain TCP SYN.
struct PacketSpec {
  MacAddress destination_mac{{0x02, 0, 0, 0, 0, 0x01}};
  MacAddress source_mac{{0x02, 0, 0, 0, 0, 0x02}};
  Endpoint source, destination;
  uint8_t protocol = protocol_tcp;  // 6, 17; anything else: `payload` follows the IP header
  uint8_t ttl = 64;
  uint16_t identification = 0x1234;
  uint16_t fragment_field = 0x4000;  // IPv4 flags and offset
  Bytes ipv4_options;                // a multiple of 4
  std::vector<Extension> extensions;
  uint32_t sequence = 1000;
  uint32_t acknowledgement = 0;
  uint8_t tcp_flags = 0x02;
  uint16_t window = 65'535;
  Bytes tcp_options;  // a multiple of 4
  bool udp_checksum = true;
  Bytes payload;
  size_t frame_bytes_min = 0;  // padded with 0xa5 behind the IP packet
};

inline size_t address_bytes(Family family) { return family == Family::v4 ? 4 : 16; }

/// Pseudo header sum of RFC 9293 §3.1 / RFC 8200 §8.1.
inline uint32_t naive_pseudo_sum(std::span<const uint8_t> source,
                                 std::span<const uint8_t> destination, uint8_t protocol,
                                 size_t l4_bytes) {
  Bytes pseudo;
  append(pseudo, source);
  append(pseudo, destination);
  put32(pseudo, static_cast<uint32_t>(l4_bytes));
  put32(pseudo, protocol);
  return naive_sum(pseudo);
}

inline Bytes build_l4(const PacketSpec& spec) {
  Bytes l4;
  size_t checksum_at = 0;
  if (spec.protocol == protocol_tcp) {
    put16(l4, spec.source.port);
    put16(l4, spec.destination.port);
    put32(l4, spec.sequence);
    put32(l4, spec.acknowledgement);
    l4.push_back(static_cast<uint8_t>((20 + spec.tcp_options.size()) / 4 << 4));
    l4.push_back(spec.tcp_flags);
    put16(l4, spec.window);
    put32(l4, 0);  // checksum, urgent pointer
    append(l4, spec.tcp_options);
    checksum_at = 16;
  } else if (spec.protocol == protocol_udp) {
    put16(l4, spec.source.port);
    put16(l4, spec.destination.port);
    put16(l4, static_cast<uint32_t>(8 + spec.payload.size()));
    put16(l4, 0);
    checksum_at = 6;
  }
  append(l4, spec.payload);
  const bool has_none = spec.protocol == protocol_udp && !spec.udp_checksum;
  if (checksum_at == 0 || has_none) return l4;
  const size_t size = address_bytes(spec.source.address.family);
  const uint32_t pseudo =
      naive_pseudo_sum({spec.source.address.bytes.data(), size},
                       {spec.destination.address.bytes.data(), size}, spec.protocol, l4.size());
  auto checksum = static_cast<uint16_t>(~naive_sum(l4, pseudo));
  if (spec.protocol == protocol_udp && checksum == 0) checksum = 0xffff;
  set16(l4, checksum_at, checksum);
  return l4;
}

inline Bytes build_ipv4(const PacketSpec& spec) {
  const Bytes l4 = build_l4(spec);
  Bytes ip;
  const size_t header_bytes = 20 + spec.ipv4_options.size();
  ip.push_back(static_cast<uint8_t>(0x40 | header_bytes / 4));
  ip.push_back(0);
  put16(ip, static_cast<uint32_t>(header_bytes + l4.size()));
  put16(ip, spec.identification);
  put16(ip, spec.fragment_field);
  ip.push_back(spec.ttl);
  ip.push_back(spec.protocol);
  put16(ip, 0);
  append(ip, {spec.source.address.bytes.data(), 4});
  append(ip, {spec.destination.address.bytes.data(), 4});
  append(ip, spec.ipv4_options);
  set16(ip, 10, static_cast<uint16_t>(~naive_sum(ip)));
  append(ip, l4);
  return ip;
}

inline Bytes build_ipv6(const PacketSpec& spec) {
  Bytes rest;
  for (size_t i = 0; i < spec.extensions.size(); ++i) {
    const Extension& extension = spec.extensions[i];
    const bool is_last = i + 1 == spec.extensions.size();
    rest.push_back(is_last ? spec.protocol : spec.extensions[i + 1].kind);
    rest.push_back(static_cast<uint8_t>((extension.body.size() + 2) / 8 - 1));
    append(rest, extension.body);
  }
  append(rest, build_l4(spec));
  Bytes ip;
  put32(ip, 0x6000'0000);
  put16(ip, static_cast<uint32_t>(rest.size()));
  ip.push_back(spec.extensions.empty() ? spec.protocol : spec.extensions[0].kind);
  ip.push_back(spec.ttl);
  append(ip, spec.source.address.bytes);
  append(ip, spec.destination.address.bytes);
  append(ip, rest);
  return ip;
}

/// The whole frame.
inline Bytes build(const PacketSpec& spec) {
  Bytes frame;
  append(frame, spec.destination_mac.bytes);
  append(frame, spec.source_mac.bytes);
  const bool is_v4 = spec.source.address.family == Family::v4;
  put16(frame, is_v4 ? 0x0800 : 0x86dd);
  append(frame, is_v4 ? build_ipv4(spec) : build_ipv6(spec));
  if (frame.size() < spec.frame_bytes_min) frame.resize(spec.frame_bytes_min, 0xa5);
  return frame;
}

/// "10.0.0.1:80" or "[fd00::1]:80"; aborts on anything else.
inline Endpoint endpoint(std::string_view text) {
  const auto parsed = parse_endpoint(text);
  if (!parsed) std::abort();
  return *parsed;
}

inline Bytes text_bytes(std::string_view text) { return {text.begin(), text.end()}; }

inline PacketSpec tcp_spec(std::string_view source, std::string_view destination, uint8_t flags,
                           std::string_view payload = {}) {
  PacketSpec spec;
  spec.source = endpoint(source);
  spec.destination = endpoint(destination);
  spec.tcp_flags = flags;
  spec.payload = text_bytes(payload);
  return spec;
}

inline PacketSpec udp_spec(std::string_view source, std::string_view destination,
                           std::string_view payload = {}) {
  PacketSpec spec = tcp_spec(source, destination, 0, payload);
  spec.protocol = protocol_udp;
  return spec;
}

/// ICMP or ICMPv6 of that type with a correct checksum; `rest`: from byte 4 of its header on.
/// Only the addresses of the endpoints are used.
inline PacketSpec icmp_spec(std::string_view source, std::string_view destination, uint8_t type,
                            uint8_t code, std::span<const uint8_t> rest) {
  PacketSpec spec = tcp_spec(source, destination, 0);
  const bool is_v4 = spec.source.address.family == Family::v4;
  spec.protocol = is_v4 ? 1 : 58;
  spec.payload = {type, code, 0, 0};
  append(spec.payload, rest);
  uint32_t start = 0;
  if (!is_v4) {
    start = naive_pseudo_sum(spec.source.address.bytes, spec.destination.address.bytes, 58,
                             spec.payload.size());
  }
  set16(spec.payload, 2, static_cast<uint16_t>(~naive_sum(spec.payload, start)));
  return spec;
}

namespace detail {

inline std::string check_upper(std::span<const uint8_t> l4, uint8_t protocol, uint32_t pseudo) {
  if (protocol == protocol_udp) {
    if (l4.size() < 8) return "UDP header is cut off";
    const size_t length = get16(l4, 4);
    if (length < 8 || length > l4.size()) return "UDP length is wrong";
    if (get16(l4, 6) == 0) return {};
  } else if (protocol == protocol_tcp) {
    if (l4.size() < 20) return "TCP header is cut off";
  } else if (protocol != 1 && protocol != 58) {
    return {};
  }
  const uint32_t start = protocol == 1 ? 0 : pseudo;
  return naive_sum(l4, start) == 0xffff ? "" : "L4 checksum is wrong";
}

}  // namespace detail

/// Checks the IPv4 header checksum and those of TCP, UDP, ICMP and ICMPv6 of a frame (with IPv6
/// options, routing and destination headers; no fragments). Empty when all are right, else what is
/// wrong.
inline std::string wrong_checksums(std::span<const uint8_t> frame) {
  if (frame.size() < 14) return "frame is cut off";
  const uint16_t type = get16(frame, 12);
  const auto ip = frame.subspan(14);
  if (type == 0x0800) {
    if (ip.size() < 20) return "IPv4 header is cut off";
    const size_t header_bytes = (ip[0] & 15) * size_t{4};
    const size_t total = get16(ip, 2);
    if (total > ip.size() || header_bytes > total) return "IPv4 total length is wrong";
    if (naive_sum(ip.first(header_bytes)) != 0xffff) return "IPv4 header checksum is wrong";
    const auto l4 = ip.subspan(header_bytes, total - header_bytes);
    const uint32_t pseudo =
        naive_pseudo_sum(ip.subspan(12, 4), ip.subspan(16, 4), ip[9], l4.size());
    return detail::check_upper(l4, ip[9], pseudo);
  }
  if (type != 0x86dd) return "not IP";
  if (ip.size() < 40) return "IPv6 header is cut off";
  const size_t payload = get16(ip, 4);
  if (payload > ip.size() - 40) return "IPv6 payload length is wrong";
  auto l4 = ip.subspan(40, payload);
  uint8_t protocol = ip[6];
  while (protocol == 0 || protocol == 43 || protocol == 60) {
    const size_t bytes = l4.size() < 2 ? 0 : (l4[1] + size_t{1}) * 8;
    if (bytes == 0 || bytes > l4.size()) return "IPv6 extension header is cut off";
    protocol = l4[0];
    l4 = l4.subspan(bytes);
  }
  const uint32_t pseudo =
      naive_pseudo_sum(ip.subspan(8, 16), ip.subspan(24, 16), protocol, l4.size());
  return detail::check_upper(l4, protocol, pseudo);
}

}  // namespace sluice::test

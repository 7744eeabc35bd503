// rewrite(): writes another tuple over a parsed packet, as a NAT router does: addresses, ports,
// one hop less, and every checksum updated incrementally. Pure; any thread; never fails.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/base/assert.h"
#include "dataplane/wire/checksum.h"
#include "dataplane/wire/headers.h"
#include "dataplane/wire/parse.h"

namespace sluice::wire {

/// TTL or hop limit of a packet that parse() found to be IP. A router forwards only above 1.
template <typename Tuple>
inline uint8_t hop_limit(std::span<const uint8_t> frame) {
  constexpr size_t field = Tuple::family == Family::v4 ? ipv4::ttl : ipv6::hop_limit;
  return frame[ethernet_header_bytes + field];
}
inline uint8_t hop_limit(std::span<const uint8_t> frame, const ParsedPacket& packet) {
  const size_t field = packet.family == Family::v4 ? ipv4::ttl : ipv6::hop_limit;
  return frame[packet.l3_offset + field];
}

/// Writes both MAC addresses of a frame: raw, in the lower 48 bits; what stands above is ignored.
inline void rewrite_ethernet(std::span<uint8_t> frame, uint64_t destination, uint64_t source) {
  store(frame.data() + ethernet::destination, (destination & 0xffff'ffff'ffff) | source << 48);
  store(frame.data() + ethernet::source + 2, static_cast<uint32_t>(source >> 16));
}

namespace detail {

/// Ports and the TCP or UDP checksum. UDP's 0 means "none" and stays 0 (RFC 768); a UDP checksum
/// that comes out as 0 is sent as 0xffff, its other spelling.
template <typename Tuple>
inline void rewrite_l4(uint8_t* l4, uint8_t protocol, const ChecksumDelta& addresses,
                       const Tuple& from, const Tuple& to) {
  const bool is_udp = protocol == protocol_udp;
  uint8_t* const field = l4 + (is_udp ? udp::checksum : tcp::checksum);
  const uint16_t old = load<uint16_t>(field);
  uint16_t updated = with_ports(addresses, from, to).apply(old);
  // Zeros are rarer than a change of protocol from packet to packet.
  if (old == 0 || updated == 0) [[unlikely]] {
    if (is_udp) updated = old == 0 ? uint16_t{0} : uint16_t{0xffff};
  }
  store(l4 + tcp::source_port, load<uint32_t>(&to.source_port));
  store(field, updated);
}

}  // namespace detail

/// Precondition: `packet` is parse()'s view of `frame`: kind flow, IPv4, TTL above 1.
/// Afterwards the frame carries `to` and `packet` still shows what it carried before.
/// The frame keeps its size, its MAC addresses, IP options and all bytes behind the L4 header.
inline void rewrite(std::span<uint8_t> frame, const ParsedPacket& packet, const Tuple4& to) {
  SLUICE_DEBUG_ASSERT(packet.kind == PacketKind::flow && packet.family == Family::v4);
  SLUICE_DEBUG_ASSERT(hop_limit(frame, packet) > 1);
  uint8_t* const ip = frame.data() + packet.l3_offset;
  const ChecksumDelta addresses = address_delta(packet.v4, to);
  // The TTL shares its 16-bit word with the protocol and is that word's low byte in raw order.
  ChecksumDelta header = addresses;
  header.decrement16();
  ip[ipv4::ttl] = static_cast<uint8_t>(ip[ipv4::ttl] - 1);
  store(ip + ipv4::checksum, header.apply(load<uint16_t>(ip + ipv4::checksum)));
  store(ip + ipv4::source, load<uint64_t>(&to.source));
  detail::rewrite_l4(frame.data() + packet.l4_offset, packet.protocol, addresses, packet.v4, to);
}

/// The same for IPv6: kind flow, hop limit above 1. Extension headers stay as they are.
inline void rewrite(std::span<uint8_t> frame, const ParsedPacket& packet, const Tuple6& to) {
  SLUICE_DEBUG_ASSERT(packet.kind == PacketKind::flow && packet.family == Family::v6);
  SLUICE_DEBUG_ASSERT(hop_limit(frame, packet) > 1);
  uint8_t* const ip = frame.data() + packet.l3_offset;
  const ChecksumDelta addresses = address_delta(packet.v6, to);
  ip[ipv6::hop_limit] = static_cast<uint8_t>(ip[ipv6::hop_limit] - 1);
  store(ip + ipv6::source, to.source);
  store(ip + ipv6::destination, to.destination);
  detail::rewrite_l4(frame.data() + packet.l4_offset, packet.protocol, addresses, packet.v6, to);
}

}  // namespace sluice::wire

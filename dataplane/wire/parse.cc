#include "dataplane/wire/parse.h"

#include <algorithm>

namespace sluice::wire {
namespace detail {
namespace {

/// More than any host sends (RFC 8200 §4.1 knows four kinds, each once or twice): a chain is work
/// that a stranger makes us do.
constexpr int extension_headers_max = 8;

bool is_limited_broadcast(uint32_t raw) { return raw == 0xffff'ffff; }
bool is_multicast(uint32_t raw) { return (raw & 0xf0) == 0xe0; }

bool starts_with_zeros(const std::array<uint8_t, 16>& address, size_t count) {
  return std::all_of(address.begin(), address.begin() + static_cast<long>(count),
                     [](uint8_t byte) { return byte == 0; });
}

/// Sources that no host may use on a wire; asked when the first byte is suspicious.
bool is_bad_source(const Tuple4& tuple) {
  const auto first = static_cast<uint8_t>(tuple.source);
  // A host that has no address yet: DHCP and IGMP, never to a single host (RFC 1122 §3.2.1.3).
  if (tuple.source == 0) {
    return !is_limited_broadcast(tuple.destination) && !is_multicast(tuple.destination);
  }
  if (first == 0 || first == 127) return true;
  if (is_multicast(tuple.source) || is_limited_broadcast(tuple.source)) return true;
  return tuple.source == tuple.destination;  // a host that writes to itself does it without us
}

bool is_bad_source(const Tuple6& tuple) {
  const auto& source = tuple.source;
  if (source[0] == 0xff) return true;
  if (source == tuple.destination) return true;
  if (!starts_with_zeros(source, 10)) return false;
  const bool is_mapped = source[10] == 0xff && source[11] == 0xff;  // ::ffff:a.b.c.d
  if (is_mapped) return true;
  if (!starts_with_zeros(source, 15) || source[15] > 1) return false;
  if (source[15] == 1) return true;  // loopback
  // Unspecified: duplicate address detection and DHCPv6, to multicast only (RFC 4291 §2.5.2).
  return tuple.destination[0] != 0xff;
}

/// Walks IPv6 extension headers. On entry `packet.protocol` is the first next header and
/// `l4_offset` where it begins; on return the upper layer's. Returns none to go on with that
/// layer (or with kind fragment), else the verdict.
[[gnu::cold]] Verdict walk_extensions(std::span<const uint8_t> frame, size_t end,
                                      ParsedPacket& packet) {
  size_t at = packet.payload_offset = packet.l4_offset;
  for (int count = 0; count <= extension_headers_max; ++count) {
    const uint8_t kind = packet.protocol;
    const bool is_options = kind == protocol::hop_by_hop || kind == protocol::destination_options;
    if (!is_options && kind != protocol::routing && kind != protocol::fragment) {
      packet.l4_offset = static_cast<uint16_t>(at);
      return Verdict::none;
    }
    if (kind == protocol::hop_by_hop && count != 0) return Verdict::bad_ipv6_header;
    if (end - at < 8) return Verdict::bad_ipv6_header;
    const uint8_t* header = frame.data() + at;
    // A fragment header's second byte is reserved, not a length (RFC 8200 §4.5).
    const size_t bytes = kind == protocol::fragment ? 8 : (header[1] + size_t{1}) * 8;
    if (end - at < bytes) return Verdict::bad_ipv6_header;
    packet.protocol = header[0];
    at += bytes;
    if (kind == protocol::fragment) {
      const uint16_t field = load_be16(header + 2);
      if (field & (ipv6::fragment_offset_mask | ipv6::more_fragments)) {
        packet.kind = PacketKind::fragment;
        packet.l4_offset = packet.payload_offset = static_cast<uint16_t>(at);
        return Verdict::none;
      }
      // Offset 0 and no more to come: a whole packet (RFC 6946), read on.
    }
    // Still to visit other nodes: the address in front is not the last one. The kernel decides.
    if (kind == protocol::routing && header[3] != 0) return Verdict::other_protocol;
  }
  return Verdict::bad_ipv6_header;
}

Verdict parse_tcp(const uint8_t* l4, size_t bytes, ParsedPacket& packet) {
  if (bytes < tcp::header_bytes) return Verdict::bad_tcp_header;
  const size_t header_bytes = tcp_header_bytes(l4);
  if (!is_good_tcp(l4, header_bytes, bytes)) return Verdict::bad_tcp_header;
  packet.tcp_flags = l4[tcp::flags];
  packet.payload_offset = static_cast<uint16_t>(packet.l4_offset + header_bytes);
  return Verdict::none;
}

Verdict parse_udp(const uint8_t* l4, size_t bytes, ParsedPacket& packet) {
  if (bytes < udp::header_bytes) return Verdict::bad_udp_header;
  // Less than the IP payload is legal: what follows is not UDP's (RFC 768 says nothing of it).
  const size_t length = load_be16(l4 + udp::length);
  if (length < udp::header_bytes || length > bytes) return Verdict::bad_udp_header;
  if (packet.family == Family::v6 && load<uint16_t>(l4 + udp::checksum) == 0) {
    return Verdict::bad_udp_header;
  }
  packet.payload_offset = static_cast<uint16_t>(packet.l4_offset + udp::header_bytes);
  return Verdict::none;
}

void copy_addresses(const uint8_t* ip, Tuple4& tuple) {
  store(&tuple.source, load<uint64_t>(ip + ipv4::source));
  store(&tuple.source_port, uint32_t{0});
}

/// The upper layer: `end` is where the IP payload ends. Sets kind and ports.
template <typename Tuple>
Verdict parse_l4(std::span<const uint8_t> frame, size_t end, ParsedPacket& packet, Tuple& tuple) {
  const uint8_t* l4 = frame.data() + packet.l4_offset;
  const size_t bytes = end - packet.l4_offset;
  packet.payload_offset = packet.l4_offset;
  Verdict verdict;
  if (packet.protocol == protocol_tcp) [[likely]] {
    verdict = parse_tcp(l4, bytes, packet);
  } else if (packet.protocol == protocol_udp) {
    verdict = parse_udp(l4, bytes, packet);
  } else {
    const uint8_t icmp = packet.family == Family::v4 ? protocol::icmp : protocol::icmp6;
    return packet.protocol == icmp ? Verdict::icmp : Verdict::other_protocol;
  }
  if (verdict != Verdict::none) [[unlikely]]
    return verdict;
  packet.kind = PacketKind::flow;
  copy_ports(l4, tuple);
  return Verdict::none;
}

bool ipv4_checksum_is_good(const uint8_t* ip, size_t header_bytes) {
  const bool is_plain = header_bytes == ipv4::header_bytes;
  return fold(is_plain ? sum_ipv4_header(ip) : sum_bytes({ip, header_bytes})) == 0xffff;
}

Verdict parse_ipv4(std::span<const uint8_t> frame, ParsedPacket& packet,
                   HeaderChecksum header_checksum) {
  const uint8_t* ip = frame.data() + ethernet_header_bytes;
  const size_t available = frame.size() - ethernet_header_bytes;
  if (available < ipv4::header_bytes) return Verdict::short_frame;
  const size_t header_bytes = (ip[ipv4::version_ihl] & 0x0f) * size_t{4};
  const size_t total_bytes = load_be16(ip + ipv4::total_bytes);
  const bool is_version_4 = ip[ipv4::version_ihl] >> 4 == 4;
  if (!is_version_4 || header_bytes < ipv4::header_bytes || total_bytes < header_bytes) {
    return Verdict::bad_ipv4_header;
  }
  if (total_bytes > available) return Verdict::short_frame;
  if (header_checksum == HeaderChecksum::verify && !ipv4_checksum_is_good(ip, header_bytes)) {
    return Verdict::bad_ipv4_checksum;
  }

  packet.family = Family::v4;
  packet.protocol = ip[ipv4::protocol];
  packet.l3_offset = ethernet_header_bytes;
  packet.l3_bytes = static_cast<uint16_t>(total_bytes);
  packet.l4_offset = static_cast<uint16_t>(ethernet_header_bytes + header_bytes);
  Tuple4& tuple = packet.v4;
  copy_addresses(ip, tuple);
  const auto first = static_cast<uint8_t>(tuple.source);
  if ((!is_host(first) || tuple.source == tuple.destination) && is_bad_source(tuple)) {
    return Verdict::bad_source;
  }
  const uint16_t fragment = load_be16(ip + ipv4::fragment);
  if (fragment & (ipv4::more_fragments | ipv4::fragment_offset_mask)) [[unlikely]] {
    packet.kind = PacketKind::fragment;
    packet.payload_offset = packet.l4_offset;
    return Verdict::none;
  }
  return parse_l4(frame, ethernet_header_bytes + total_bytes, packet, tuple);
}

Verdict parse_ipv6(std::span<const uint8_t> frame, ParsedPacket& packet) {
  const uint8_t* ip = frame.data() + ethernet_header_bytes;
  const size_t available = frame.size() - ethernet_header_bytes;
  if (available < ipv6::header_bytes) return Verdict::short_frame;
  if (ip[ipv6::version_class_flow] >> 4 != 6) return Verdict::bad_ipv6_header;
  const size_t total_bytes = ipv6::header_bytes + load_be16(ip + ipv6::payload_bytes);
  if (total_bytes > available) return Verdict::short_frame;

  packet.family = Family::v6;
  packet.protocol = ip[ipv6::next_header];
  packet.l3_offset = ethernet_header_bytes;
  packet.l3_bytes = static_cast<uint16_t>(total_bytes);
  packet.l4_offset = ethernet_header_bytes + ipv6::header_bytes;
  Tuple6& tuple = packet.v6;
  tuple.source = load<std::array<uint8_t, 16>>(ip + ipv6::source);
  tuple.destination = load<std::array<uint8_t, 16>>(ip + ipv6::destination);
  tuple.source_port = 0;
  tuple.destination_port = 0;
  // 00xx: unspecified, loopback, mapped; ffxx: multicast.
  const uint8_t first = tuple.source[0];
  const bool is_plain = static_cast<uint8_t>(first - 1) < 254;
  if ((!is_plain || tuple.source == tuple.destination) && is_bad_source(tuple)) [[unlikely]] {
    return Verdict::bad_source;
  }
  const size_t end = ethernet_header_bytes + total_bytes;
  if (packet.protocol != protocol_tcp && packet.protocol != protocol_udp) [[unlikely]] {
    const Verdict verdict = walk_extensions(frame, end, packet);
    if (verdict != Verdict::none || packet.kind == PacketKind::fragment) return verdict;
  }
  return parse_l4(frame, end, packet, tuple);
}

}  // namespace
}  // namespace detail

Verdict parse_any(std::span<const uint8_t> frame, ParsedPacket& packet,
                  HeaderChecksum header_checksum) {
  packet.kind = PacketKind::other;
  packet.protocol = 0;
  packet.tcp_flags = 0;
  packet.l3_offset = 0;
  if (frame.size() > frame_bytes_max) [[unlikely]]
    frame = frame.first(frame_bytes_max);
  if (frame.size() < ethernet_header_bytes) [[unlikely]]
    return Verdict::short_frame;
  switch (load_be16(frame.data() + ethernet::type)) {
    case ethernet::type_ipv4:
      return detail::parse_ipv4(frame, packet, header_checksum);
    case ethernet::type_ipv6:
      return detail::parse_ipv6(frame, packet);
    default:
      return Verdict::not_ip;
  }
}

}  // namespace sluice::wire

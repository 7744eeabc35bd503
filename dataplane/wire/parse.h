// parse(): bytes of one Ethernet frame → checked view. Reads the frame once; after it nobody
// re-validates offsets. Pure, no state; any thread. VLAN tags are not understood: punted.
// Inline, because it runs for every packet; what is rare lives in parse.cc.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/tuple.h"
#include "dataplane/base/verdict.h"
#include "dataplane/wire/checksum.h"
#include "dataplane/wire/headers.h"

namespace sluice::wire {

enum TcpFlag : uint8_t {
  tcp_fin = 0x01,
  tcp_syn = 0x02,
  tcp_rst = 0x04,
  tcp_psh = 0x08,
  tcp_ack = 0x10,
  tcp_urg = 0x20,
};

enum class PacketKind : uint8_t {
  flow,      // TCP or UDP, whole headers, not a fragment: the tuple is valid
  fragment,  // IPv4/IPv6 fragment: only addresses are valid (ports 0)
  other,     // not TCP/UDP: addresses valid when l3_offset != 0
};

/// Offsets count from the start of the Ethernet header.
struct ParsedPacket {
  PacketKind kind = PacketKind::other;
  Family family = Family::v4;
  uint8_t protocol = 0;
  uint8_t tcp_flags = 0;
  uint16_t l3_offset = 0;  // 0: not IP
  uint16_t l4_offset = 0;
  uint16_t payload_offset = 0;
  uint16_t l3_bytes = 0;  // IP header + payload as the header says (the frame may be padded)
  union {
    Tuple4 v4;
    Tuple6 v6;
  };
  ParsedPacket() : v6{} {}
};

/// Whether parse() sums the IPv4 header or the device has already done so and found it good.
enum class HeaderChecksum : uint8_t { verify, verified };

/// Parses one frame held contiguously in `frame`; `packet` may hold an earlier packet.
/// Returns Verdict::none when `packet` is of kind flow or fragment; a punt verdict when the kernel
/// should see it; a drop verdict when it is malformed (RFC 791, 8200, 9293, 768). After a drop
/// verdict nothing in `packet` is valid. Checksums of TCP and UDP are not looked at, except that
/// UDP over IPv6 must have one (RFC 8200 §8.1).
inline Verdict parse(std::span<const uint8_t> frame, ParsedPacket& packet,
                     HeaderChecksum header_checksum = HeaderChecksum::verify);

namespace detail {

/// Bit f is set when no TCP sends flags f (FIN SYN RST PSH ACK URG): SYN excludes FIN and RST, and
/// a segment with neither SYN nor RST has ACK (RFC 9293 §3.10.7).
constexpr uint64_t make_bad_tcp_flags() {
  uint64_t bad = 0;
  for (unsigned flags = 0; flags < 64; ++flags) {
    const bool contradicts = (flags & tcp_syn) && (flags & (tcp_fin | tcp_rst));
    const bool says_nothing = !(flags & (tcp_syn | tcp_rst | tcp_ack));
    if (contradicts || says_nothing) bad |= uint64_t{1} << flags;
  }
  return bad;
}
inline constexpr uint64_t bad_tcp_flags = make_bad_tcp_flags();

/// Sources that no host may use on a wire; called when the first byte is suspicious.
[[gnu::cold]] bool is_bad_source(const Tuple4& tuple);
[[gnu::cold]] bool is_bad_source(const Tuple6& tuple);

/// Walks IPv6 extension headers. On entry `packet.protocol` is the first next header and
/// `l4_offset` where it begins; on return the upper layer's. Returns none to go on with that
/// layer (or with kind fragment), else the verdict.
[[gnu::cold]] Verdict walk_extensions(std::span<const uint8_t> frame, size_t end,
                                      ParsedPacket& packet);

[[gnu::always_inline]] inline Verdict parse_tcp(const uint8_t* l4, size_t bytes,
                                                ParsedPacket& packet) {
  if (bytes < tcp::header_bytes) return Verdict::bad_tcp_header;
  const size_t header_bytes = static_cast<size_t>(l4[tcp::data_offset] >> 4) * 4;
  const uint8_t flags = l4[tcp::flags];
  const bool bad_flags = bad_tcp_flags >> (flags & 63) & 1;
  if (header_bytes < tcp::header_bytes || header_bytes > bytes || bad_flags) {
    return Verdict::bad_tcp_header;
  }
  packet.tcp_flags = flags;
  packet.payload_offset = static_cast<uint16_t>(packet.l4_offset + header_bytes);
  return Verdict::none;
}

[[gnu::always_inline]] inline Verdict parse_udp(const uint8_t* l4, size_t bytes,
                                                ParsedPacket& packet) {
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

// Whoever hashes a tuple right after reads it in 8 and 4 bytes. It is written in the same pieces,
// because a load that spans two stores waits until both are done.
inline void copy_addresses(const uint8_t* ip, Tuple4& tuple) {
  store(&tuple.source, load<uint64_t>(ip + ipv4::source));
  store(&tuple.source_port, uint32_t{0});
}
template <typename Tuple>
inline void copy_ports(const uint8_t* l4, Tuple& tuple) {
  store(&tuple.source_port, load<uint32_t>(l4 + tcp::source_port));
}

/// The upper layer: `end` is where the IP payload ends. Sets kind and ports.
template <typename Tuple>
[[gnu::always_inline]] inline Verdict parse_l4(std::span<const uint8_t> frame, size_t end,
                                               ParsedPacket& packet, Tuple& tuple) {
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

[[gnu::always_inline]] inline bool ipv4_checksum_is_good(const uint8_t* ip, size_t header_bytes) {
  const bool is_plain = header_bytes == ipv4::header_bytes;
  return fold(is_plain ? sum_ipv4_header(ip) : sum_bytes({ip, header_bytes})) == 0xffff;
}

[[gnu::always_inline]] inline Verdict parse_ipv4(std::span<const uint8_t> frame,
                                                 ParsedPacket& packet,
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
  // First bytes 1..126 and 128..223 are hosts; everything else is rare and looked at closely.
  const auto first = static_cast<uint8_t>(tuple.source);
  const bool is_plain =
      static_cast<uint8_t>(first - 1) < 126 || static_cast<uint8_t>(first - 128) < 96;
  if ((!is_plain || tuple.source == tuple.destination) && is_bad_source(tuple)) [[unlikely]] {
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

[[gnu::always_inline]] inline Verdict parse_ipv6(std::span<const uint8_t> frame,
                                                 ParsedPacket& packet) {
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

/// What nearly every packet is: IPv4 without options, not a fragment, from an ordinary host, with a
/// whole TCP or UDP header. One straight line; false, with `packet` half written, as soon as there
/// is anything to say about the packet: then the steps above say it.
[[gnu::always_inline]] inline bool parse_plain_ipv4(std::span<const uint8_t> frame,
                                                    ParsedPacket& packet,
                                                    HeaderChecksum header_checksum) {
  constexpr size_t l4_at = ethernet_header_bytes + ipv4::header_bytes;
  // Shorter frames do not come by Ethernet; here any header can be read without a look at its end.
  if (frame.size() < l4_at + tcp::header_bytes) [[unlikely]]
    return false;
  const uint8_t* const ip = frame.data() + ethernet_header_bytes;
  const uint8_t* const l4 = frame.data() + l4_at;
  // The type, version and IHL in one word, which also holds the TOS.
  constexpr uint32_t type_and_version = 0x45'0008;
  if ((load<uint32_t>(frame.data() + ethernet::type) & 0xff'ffff) != type_and_version) return false;
  const size_t total_bytes = load_be16(ip + ipv4::total_bytes);
  const size_t l4_bytes = total_bytes - ipv4::header_bytes;  // past 2^63 when the total is too small
  constexpr uint16_t any_fragment = ipv4::more_fragments | ipv4::fragment_offset_mask;
  if (total_bytes > frame.size() - ethernet_header_bytes) [[unlikely]]
    return false;
  if ((load<uint16_t>(ip + ipv4::fragment) & swap16(any_fragment)) != 0) [[unlikely]]
    return false;
  if (header_checksum == HeaderChecksum::verify && fold(sum_ipv4_header(ip)) != 0xffff) [[unlikely]]
    return false;
  const auto addresses = load<uint64_t>(ip + ipv4::source);
  if (!is_host(static_cast<uint8_t>(addresses))) [[unlikely]]
    return false;
  if (static_cast<uint32_t>(addresses) == addresses >> 32) [[unlikely]]
    return false;

  const uint8_t protocol = ip[ipv4::protocol];
  size_t header_bytes = udp::header_bytes;
  uint8_t flags = 0;
  if (protocol == protocol_tcp) {
    header_bytes = static_cast<size_t>(l4[tcp::data_offset] >> 4) * 4;
    flags = l4[tcp::flags];
    if (header_bytes < tcp::header_bytes || header_bytes > l4_bytes) [[unlikely]]
      return false;
    if ((bad_tcp_flags >> (flags & 63) & 1) != 0) [[unlikely]]
      return false;
  } else {
    const size_t length = load_be16(l4 + udp::length);
    if (protocol != protocol_udp || length < udp::header_bytes || length > l4_bytes) [[unlikely]]
      return false;
  }
  packet.kind = PacketKind::flow;
  packet.family = Family::v4;
  packet.protocol = protocol;
  packet.tcp_flags = flags;
  packet.l3_offset = ethernet_header_bytes;
  packet.l4_offset = l4_at;
  packet.payload_offset = static_cast<uint16_t>(l4_at + header_bytes);
  packet.l3_bytes = static_cast<uint16_t>(total_bytes);
  store(&packet.v4.source, addresses);
  copy_ports(l4, packet.v4);
  return true;
}

/// Every other frame.
Verdict parse_any(std::span<const uint8_t> frame, ParsedPacket& packet,
                  HeaderChecksum header_checksum);

}  // namespace detail

[[gnu::always_inline]] inline Verdict parse(std::span<const uint8_t> frame, ParsedPacket& packet,
                                            HeaderChecksum header_checksum) {
  if (detail::parse_plain_ipv4(frame, packet, header_checksum)) [[likely]]
    return Verdict::none;
  return detail::parse_any(frame, packet, header_checksum);
}

}  // namespace sluice::wire

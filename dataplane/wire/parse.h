// parse(): bytes of one Ethernet frame → checked view. Reads the frame once; after it nobody
// re-validates offsets. Pure, no state; any thread. VLAN tags are not understood: punted.
// What nearly every packet is, is parsed inline in one straight line; the rest lives in parse.cc.
#pragma once

#include <array>
#include <cstddef>
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

// The two halves of parse(), for who goes on differently behind each.

/// What nearly every packet is: IPv4 without options, not a fragment, from an ordinary host, with a
/// whole TCP or UDP header. One straight line; false, and `packet` untouched, as soon as there is
/// anything else to say about the frame.
inline bool parse_plain_ipv4(std::span<const uint8_t> frame, ParsedPacket& packet,
                             HeaderChecksum header_checksum = HeaderChecksum::verify);

/// Any frame, step by step.
Verdict parse_any(std::span<const uint8_t> frame, ParsedPacket& packet,
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

inline size_t tcp_header_bytes(const uint8_t* l4) {
  return static_cast<size_t>(l4[tcp::data_offset] >> 4) * 4;
}

/// `bytes`: what there is of header and payload.
inline bool is_good_tcp(const uint8_t* l4, size_t header_bytes, size_t bytes) {
  const bool bad_flags = bad_tcp_flags >> (l4[tcp::flags] & 63) & 1;
  return header_bytes >= tcp::header_bytes && header_bytes <= bytes && !bad_flags;
}

/// First bytes of an IPv4 address that are an ordinary host's: 1..126 and 128..223. Two conditions
/// that nearly always hold; asking for either range would be a branch that nobody can predict.
inline bool is_host(uint8_t first) { return static_cast<uint8_t>(first - 1) < 223 && first != 127; }

// Whoever hashes a tuple right after reads it in 8 and 4 bytes. It is written in the same pieces,
// because a load that spans two stores waits until both are done.
template <typename Tuple>
inline void copy_ports(const uint8_t* l4, Tuple& tuple) {
  store(&tuple.source_port, load<uint32_t>(l4 + tcp::source_port));
}

/// The fields before the tuple, of a packet of plain IPv4, in two words. (Byte by byte, g++ 12 puts
/// some together in memory, and the processor waits for its own stores.)
[[gnu::always_inline]] inline void store_view(ParsedPacket& packet, uint32_t protocol_and_flags,
                                              uint32_t payload_offset, uint32_t l3_bytes) {
  using View = ParsedPacket;
  static_assert(offsetof(View, kind) == 0 && offsetof(View, family) == 1);
  static_assert(offsetof(View, protocol) == 2 && offsetof(View, tcp_flags) == 3);
  static_assert(offsetof(View, l3_offset) == 4 && offsetof(View, l4_offset) == 6);
  static_assert(offsetof(View, payload_offset) == 8 && offsetof(View, l3_bytes) == 10);
  constexpr uint64_t same = static_cast<uint64_t>(PacketKind::flow) |
                            static_cast<uint64_t>(Family::v4) << 8 |
                            uint64_t{ethernet_header_bytes} << 32 |
                            uint64_t{ethernet_header_bytes + ipv4::header_bytes} << 48;
  store(&packet, same | uint64_t{protocol_and_flags} << 16);
  store(&packet.payload_offset, payload_offset | l3_bytes << 16);
}

}  // namespace detail

[[gnu::always_inline]] inline bool parse_plain_ipv4(std::span<const uint8_t> frame,
                                                    ParsedPacket& packet,
                                                    HeaderChecksum header_checksum) {
  constexpr size_t l4_at = ethernet_header_bytes + ipv4::header_bytes;
  // Ethernet has no shorter frames, and in longer ones either header can be read before it is
  // known to be there. (Unsigned: one comparison for both ends.)
  constexpr size_t frame_bytes_min = l4_at + tcp::header_bytes;
  if (frame.size() - frame_bytes_min > frame_bytes_max - frame_bytes_min) [[unlikely]]
    return false;
  const uint8_t* const ip = frame.data() + ethernet_header_bytes;
  const uint8_t* const l4 = frame.data() + l4_at;
  // The type, version and IHL in one word, which also holds the TOS.
  constexpr uint32_t type_and_version = 0x45'0008;
  if ((load<uint32_t>(frame.data() + ethernet::type) & 0xff'ffff) != type_and_version) return false;
  const size_t total_bytes = load_be16(ip + ipv4::total_bytes);
  const size_t l4_bytes = total_bytes - ipv4::header_bytes;
  if (l4_bytes > frame.size() - l4_at) [[unlikely]]  // also when total_bytes is too small
    return false;
  constexpr uint16_t any_fragment = ipv4::more_fragments | ipv4::fragment_offset_mask;
  if ((load<uint16_t>(ip + ipv4::fragment) & swap16(any_fragment)) != 0) [[unlikely]]
    return false;
  if (header_checksum == HeaderChecksum::verify && fold(sum_ipv4_header(ip)) != 0xffff) [[unlikely]]
    return false;
  const auto addresses = load<uint64_t>(ip + ipv4::source);
  if (!detail::is_host(static_cast<uint8_t>(addresses))) [[unlikely]]
    return false;
  if (static_cast<uint32_t>(addresses) == addresses >> 32) [[unlikely]]
    return false;

  const uint32_t protocol = ip[ipv4::protocol];
  uint32_t header_bytes = udp::header_bytes;
  uint32_t flags = 0;
  if (protocol == protocol_tcp) {
    header_bytes = static_cast<uint32_t>(detail::tcp_header_bytes(l4));
    flags = l4[tcp::flags];
    if (!detail::is_good_tcp(l4, header_bytes, l4_bytes)) [[unlikely]]
      return false;
  } else {
    const size_t length = load_be16(l4 + udp::length);
    if (protocol != protocol_udp || length < udp::header_bytes || length > l4_bytes) [[unlikely]]
      return false;
  }
  detail::store_view(packet, protocol | flags << 8, l4_at + header_bytes,
                     static_cast<uint32_t>(total_bytes));
  store(&packet.v4.source, addresses);
  detail::copy_ports(l4, packet.v4);
  return true;
}

[[gnu::always_inline]] inline Verdict parse(std::span<const uint8_t> frame, ParsedPacket& packet,
                                            HeaderChecksum header_checksum) {
  if (parse_plain_ipv4(frame, packet, header_checksum)) [[likely]]
    return Verdict::none;
  return parse_any(frame, packet, header_checksum);
}

}  // namespace sluice::wire

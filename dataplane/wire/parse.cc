#include "dataplane/wire/parse.h"

#include <algorithm>

namespace sluice::wire::detail {
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

}  // namespace

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

Verdict walk_extensions(std::span<const uint8_t> frame, size_t end, ParsedPacket& packet) {
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

}  // namespace sluice::wire::detail

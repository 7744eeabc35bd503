// parse(): bytes of one Ethernet frame → checked view. Reads the frame once; after it nobody
// re-validates offsets. Pure, no state; any thread. VLAN tags are not understood: punted.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/base/tuple.h"
#include "dataplane/base/verdict.h"

namespace sluice::wire {

inline constexpr uint16_t ethernet_header_bytes = 14;

enum TcpFlag : uint8_t {
  tcp_fin = 0x01,
  tcp_syn = 0x02,
  tcp_rst = 0x04,
  tcp_psh = 0x08,
  tcp_ack = 0x10,
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

/// Parses one frame held contiguously in `frame`.
/// Returns Verdict::none when `packet` is of kind flow or fragment; a punt verdict when the kernel
/// should see it; a drop verdict when it is malformed (RFC 791, 8200, 9293, 768).
Verdict parse(std::span<const uint8_t> frame, ParsedPacket& packet);

}  // namespace sluice::wire

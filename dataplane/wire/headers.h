// Where the fields of a frame lie: offsets from the start of each header, and the values that
// Sluice knows by name. No structs: fields are read with base/byte_order.h at any alignment.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::wire {

inline constexpr uint16_t ethernet_header_bytes = 14;

/// No frame is looked at beyond this, so that every offset fits 16 bits.
inline constexpr size_t frame_bytes_max = 65'535;

namespace ethernet {
inline constexpr size_t destination = 0;
inline constexpr size_t source = 6;
inline constexpr size_t type = 12;
inline constexpr uint16_t type_ipv4 = 0x0800;
inline constexpr uint16_t type_ipv6 = 0x86dd;
inline constexpr uint16_t type_arp = 0x0806;
inline constexpr uint16_t type_vlan = 0x8100;
}  // namespace ethernet

/// RFC 791 §3.1.
namespace ipv4 {
inline constexpr size_t version_ihl = 0;
inline constexpr size_t tos = 1;
inline constexpr size_t total_bytes = 2;
inline constexpr size_t identification = 4;
inline constexpr size_t fragment = 6;  // flags and offset
inline constexpr size_t ttl = 8;
inline constexpr size_t protocol = 9;
inline constexpr size_t checksum = 10;
inline constexpr size_t source = 12;
inline constexpr size_t destination = 16;
inline constexpr size_t header_bytes = 20;  // without options
inline constexpr uint16_t dont_fragment = 0x4000;
inline constexpr uint16_t more_fragments = 0x2000;
inline constexpr uint16_t fragment_offset_mask = 0x1fff;
}  // namespace ipv4

/// RFC 8200 §3.
namespace ipv6 {
inline constexpr size_t version_class_flow = 0;
inline constexpr size_t payload_bytes = 4;
inline constexpr size_t next_header = 6;
inline constexpr size_t hop_limit = 7;
inline constexpr size_t source = 8;
inline constexpr size_t destination = 24;
inline constexpr size_t header_bytes = 40;
inline constexpr uint16_t fragment_offset_mask = 0xfff8;
inline constexpr uint16_t more_fragments = 0x0001;
}  // namespace ipv6

/// RFC 9293 §3.1.
namespace tcp {
inline constexpr size_t source_port = 0;
inline constexpr size_t destination_port = 2;
inline constexpr size_t sequence = 4;
inline constexpr size_t acknowledgement = 8;
inline constexpr size_t data_offset = 12;  // high four bits
inline constexpr size_t flags = 13;
inline constexpr size_t window = 14;
inline constexpr size_t checksum = 16;
inline constexpr size_t urgent_pointer = 18;
inline constexpr size_t header_bytes = 20;  // without options
}  // namespace tcp

/// RFC 768.
namespace udp {
inline constexpr size_t source_port = 0;
inline constexpr size_t destination_port = 2;
inline constexpr size_t length = 4;
inline constexpr size_t checksum = 6;
inline constexpr size_t header_bytes = 8;
}  // namespace udp

/// RFC 792, RFC 4443: both have type, code, checksum and four bytes more before what they quote.
namespace icmp {
inline constexpr size_t type = 0;
inline constexpr size_t code = 1;
inline constexpr size_t checksum = 2;
inline constexpr size_t header_bytes = 8;
inline constexpr uint8_t v4_unreachable = 3;
inline constexpr uint8_t v4_port_unreachable = 3;  // code
inline constexpr uint8_t v6_unreachable = 1;
inline constexpr uint8_t v6_port_unreachable = 4;  // code
}  // namespace icmp

/// IP protocol numbers, IPv6 next headers included.
namespace protocol {
inline constexpr uint8_t hop_by_hop = 0;
inline constexpr uint8_t icmp = 1;
inline constexpr uint8_t routing = 43;
inline constexpr uint8_t fragment = 44;
inline constexpr uint8_t icmp6 = 58;
inline constexpr uint8_t no_next_header = 59;
inline constexpr uint8_t destination_options = 60;
}  // namespace protocol

}  // namespace sluice::wire

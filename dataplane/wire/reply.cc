#include "dataplane/wire/reply.h"

#include <algorithm>
#include <cstring>

#include "dataplane/wire/checksum.h"
#include "dataplane/wire/headers.h"

namespace sluice::wire {
namespace {

constexpr size_t icmp4_packet_bytes_max = 576;
constexpr size_t icmp6_packet_bytes_max = 1'280;

struct Addresses {
  MacAddress destination, source;
};

Addresses swapped_macs(std::span<const uint8_t> frame) {
  Addresses result;
  std::memcpy(result.destination.bytes.data(), frame.data() + ethernet::source, 6);
  std::memcpy(result.source.bytes.data(), frame.data() + ethernet::destination, 6);
  return result;
}

template <typename Tuple>
Tuple swapped(const Tuple& tuple) {
  return {tuple.destination, tuple.source, tuple.destination_port, tuple.source_port};
}

bool is_group(const Tuple4& tuple) {
  const auto first = static_cast<uint8_t>(tuple.destination);
  return first >= 224 || tuple.destination == 0 || tuple.source == 0;
}

bool is_group(const Tuple6& tuple) {
  constexpr std::array<uint8_t, 16> unspecified{};
  return tuple.destination[0] == 0xff || tuple.source == unspecified;
}

/// RFC 1122 §3.2.2 and RFC 4443 §2.4 e: no reply to what was sent to many, or by nobody.
template <typename Tuple>
bool may_answer(std::span<const uint8_t> frame, const Tuple& tuple) {
  const bool is_group_frame = frame[ethernet::destination] & 1 || frame[ethernet::source] & 1;
  return !is_group_frame && !is_group(tuple);
}

/// Writes Ethernet and IP headers; returns where the upper layer begins. `l4_bytes` follow.
uint8_t* write_headers(std::span<uint8_t> out, const Addresses& macs, const Tuple4& tuple,
                       uint8_t protocol, size_t l4_bytes) {
  store(out.data() + ethernet::destination, macs.destination.bytes);
  store(out.data() + ethernet::source, macs.source.bytes);
  store_be16(out.data() + ethernet::type, ethernet::type_ipv4);
  uint8_t* ip = out.data() + ethernet_header_bytes;
  std::memset(ip, 0, ipv4::header_bytes);
  ip[ipv4::version_ihl] = 0x45;
  store_be16(ip + ipv4::total_bytes, static_cast<uint16_t>(ipv4::header_bytes + l4_bytes));
  store_be16(ip + ipv4::fragment, ipv4::dont_fragment);  // hence identification 0 (RFC 6864)
  ip[ipv4::ttl] = reply_hop_limit;
  ip[ipv4::protocol] = protocol;
  store(ip + ipv4::source, tuple.source);
  store(ip + ipv4::destination, tuple.destination);
  store(ip + ipv4::checksum, finish_checksum(sum_bytes({ip, ipv4::header_bytes})));
  return ip + ipv4::header_bytes;
}

uint8_t* write_headers(std::span<uint8_t> out, const Addresses& macs, const Tuple6& tuple,
                       uint8_t protocol, size_t l4_bytes) {
  store(out.data() + ethernet::destination, macs.destination.bytes);
  store(out.data() + ethernet::source, macs.source.bytes);
  store_be16(out.data() + ethernet::type, ethernet::type_ipv6);
  uint8_t* ip = out.data() + ethernet_header_bytes;
  store_be32(ip + ipv6::version_class_flow, 0x6000'0000);
  store_be16(ip + ipv6::payload_bytes, static_cast<uint16_t>(l4_bytes));
  ip[ipv6::next_header] = protocol;
  ip[ipv6::hop_limit] = reply_hop_limit;
  store(ip + ipv6::source, tuple.source);
  store(ip + ipv6::destination, tuple.destination);
  return ip + ipv6::header_bytes;
}

template <typename Tuple>
constexpr size_t ip_header_bytes =
    Tuple::family == Family::v4 ? ipv4::header_bytes : ipv6::header_bytes;

struct Reset {
  uint32_t sequence = 0;
  uint32_t acknowledgement = 0;
  uint8_t flags = tcp_rst;
};

template <typename Tuple>
size_t write_reset(std::span<uint8_t> out, const Addresses& macs, const Tuple& tuple,
                   const Reset& reset) {
  constexpr size_t bytes = ethernet_header_bytes + ip_header_bytes<Tuple> + tcp::header_bytes;
  if (out.size() < bytes) return 0;
  uint8_t* l4 = write_headers(out, macs, tuple, protocol_tcp, tcp::header_bytes);
  std::memset(l4, 0, tcp::header_bytes);
  store(l4 + tcp::source_port, tuple.source_port);
  store(l4 + tcp::destination_port, tuple.destination_port);
  store_be32(l4 + tcp::sequence, reset.sequence);
  store_be32(l4 + tcp::acknowledgement, reset.acknowledgement);
  l4[tcp::data_offset] = tcp::header_bytes / 4 << 4;
  l4[tcp::flags] = reset.flags;
  const uint64_t pseudo =
      pseudo_header_sum(tuple.source, tuple.destination, protocol_tcp, tcp::header_bytes);
  store(l4 + tcp::checksum, finish_checksum(sum_bytes({l4, tcp::header_bytes}, pseudo)));
  return bytes;
}

/// SEG.LEN: payload, and one each for SYN and FIN (RFC 9293 §3.4).
uint32_t segment_length(const ParsedPacket& packet) {
  const size_t end = size_t{packet.l3_offset} + packet.l3_bytes;
  auto length = static_cast<uint32_t>(end - packet.payload_offset);
  if (packet.tcp_flags & tcp_syn) ++length;
  if (packet.tcp_flags & tcp_fin) ++length;
  return length;
}

bool may_reset(const ParsedPacket& packet) {
  return packet.kind == PacketKind::flow && packet.protocol == protocol_tcp &&
         !(packet.tcp_flags & tcp_rst);
}

template <typename Tuple>
size_t reset_to_sender(std::span<const uint8_t> frame, const ParsedPacket& packet,
                       const Tuple& tuple, std::span<uint8_t> out) {
  if (!may_answer(frame, tuple)) return 0;
  const uint8_t* l4 = frame.data() + packet.l4_offset;
  Reset reset;
  if (packet.tcp_flags & tcp_ack) {
    reset.sequence = load_be32(l4 + tcp::acknowledgement);
  } else {
    reset.acknowledgement = load_be32(l4 + tcp::sequence) + segment_length(packet);
    reset.flags = tcp_rst | tcp_ack;
  }
  return write_reset(out, swapped_macs(frame), swapped(tuple), reset);
}

template <typename Tuple>
size_t reset_onward(std::span<const uint8_t> frame, const ParsedPacket& packet, const Tuple& to,
                    const Addresses& macs, std::span<uint8_t> out) {
  if (!may_reset(packet)) return 0;
  const uint8_t* l4 = frame.data() + packet.l4_offset;
  Reset reset;
  reset.sequence = load_be32(l4 + tcp::sequence);
  if (packet.tcp_flags & tcp_ack) {
    reset.acknowledgement = load_be32(l4 + tcp::acknowledgement);
    reset.flags = tcp_rst | tcp_ack;
  }
  return write_reset(out, macs, to, reset);
}

/// How much of the packet a reply of at most `packet_bytes_max` quotes.
size_t quoted_bytes(const ParsedPacket& packet, size_t headers, size_t packet_bytes_max) {
  return std::min<size_t>(packet.l3_bytes, packet_bytes_max - headers);
}

size_t unreachable4(std::span<const uint8_t> frame, const ParsedPacket& packet,
                    std::span<uint8_t> out) {
  if (!may_answer(frame, packet.v4)) return 0;
  const size_t headers = ipv4::header_bytes + icmp::header_bytes;
  const size_t quoted = quoted_bytes(packet, headers, icmp4_packet_bytes_max);
  const size_t bytes = ethernet_header_bytes + headers + quoted;
  if (out.size() < bytes) return 0;
  const size_t l4_bytes = icmp::header_bytes + quoted;
  uint8_t* l4 =
      write_headers(out, swapped_macs(frame), swapped(packet.v4), protocol::icmp, l4_bytes);
  std::memset(l4, 0, icmp::header_bytes);
  l4[icmp::type] = icmp::v4_unreachable;
  l4[icmp::code] = icmp::v4_port_unreachable;
  std::memcpy(l4 + icmp::header_bytes, frame.data() + packet.l3_offset, quoted);
  store(l4 + icmp::checksum, finish_checksum(sum_bytes({l4, l4_bytes})));
  return bytes;
}

size_t unreachable6(std::span<const uint8_t> frame, const ParsedPacket& packet,
                    std::span<uint8_t> out) {
  if (!may_answer(frame, packet.v6)) return 0;
  const size_t headers = ipv6::header_bytes + icmp::header_bytes;
  const size_t quoted = quoted_bytes(packet, headers, icmp6_packet_bytes_max);
  const size_t bytes = ethernet_header_bytes + headers + quoted;
  if (out.size() < bytes) return 0;
  const size_t l4_bytes = icmp::header_bytes + quoted;
  const Tuple6 tuple = swapped(packet.v6);
  uint8_t* l4 = write_headers(out, swapped_macs(frame), tuple, protocol::icmp6, l4_bytes);
  std::memset(l4, 0, icmp::header_bytes);
  l4[icmp::type] = icmp::v6_unreachable;
  l4[icmp::code] = icmp::v6_port_unreachable;
  std::memcpy(l4 + icmp::header_bytes, frame.data() + packet.l3_offset, quoted);
  const uint64_t pseudo = pseudo_header_sum(tuple.source, tuple.destination, protocol::icmp6,
                                            static_cast<uint32_t>(l4_bytes));
  store(l4 + icmp::checksum, finish_checksum(sum_bytes({l4, l4_bytes}, pseudo)));
  return bytes;
}

}  // namespace

size_t build_reset_to_sender(std::span<const uint8_t> frame, const ParsedPacket& packet,
                             std::span<uint8_t> out) {
  if (!may_reset(packet)) return 0;
  return packet.family == Family::v4 ? reset_to_sender(frame, packet, packet.v4, out)
                                     : reset_to_sender(frame, packet, packet.v6, out);
}

size_t build_reset_onward(std::span<const uint8_t> frame, const ParsedPacket& packet,
                          const Tuple4& to, const MacAddress& destination, const MacAddress& source,
                          std::span<uint8_t> out) {
  return reset_onward(frame, packet, to, {destination, source}, out);
}

size_t build_reset_onward(std::span<const uint8_t> frame, const ParsedPacket& packet,
                          const Tuple6& to, const MacAddress& destination, const MacAddress& source,
                          std::span<uint8_t> out) {
  return reset_onward(frame, packet, to, {destination, source}, out);
}

size_t build_port_unreachable(std::span<const uint8_t> frame, const ParsedPacket& packet,
                              std::span<uint8_t> out) {
  if (packet.kind != PacketKind::flow) return 0;
  return packet.family == Family::v4 ? unreachable4(frame, packet, out)
                                     : unreachable6(frame, packet, out);
}

}  // namespace sluice::wire

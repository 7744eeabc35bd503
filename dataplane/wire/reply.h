// Replies that Sluice makes itself: TCP resets and ICMP "port unreachable", built from the packet
// that provoked them into the caller's buffer. Pure; any thread; no allocation. The caller limits
// how many it sends (RFC 4443 §2.4 f) and has parsed `frame` into `packet`: kind flow.
//
// Every function returns the frame's bytes in `out`, or 0 when there must be no reply: the packet
// was sent to a group or broadcast address of layer 2 or 3, or carries RST, or `out` is too small.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/wire/parse.h"

namespace sluice::wire {

/// Enough for every reply: an IPv6 packet of the minimum MTU (RFC 4443 §2.4 c).
inline constexpr size_t reply_bytes_max = ethernet_header_bytes + 1'280;

inline constexpr uint8_t reply_hop_limit = 64;

/// A reset to the sender of a TCP packet, from the address that the packet was for, to the MAC
/// that it came from. RFC 9293 §3.10.7.1: with ACK, <SEQ=SEG.ACK><CTL=RST>; without,
/// <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>; never in answer to a reset.
size_t build_reset_to_sender(std::span<const uint8_t> frame, const ParsedPacket& packet,
                             std::span<uint8_t> out);

/// A reset to the other side of a translated connection, as if the sender of the packet had sent
/// it instead of the packet: `to` is the tuple that the packet would have left with, <SEQ=SEG.SEQ>,
/// and RST,ACK with <ACK=SEG.ACK> when the packet has ACK. It takes effect at once when the packet
/// is the next one in order; otherwise the receiver's challenge ACK (RFC 5961 §3.2) comes back
/// and can be answered with build_reset_to_sender.
size_t build_reset_onward(std::span<const uint8_t> frame, const ParsedPacket& packet,
                          const Tuple4& to, const MacAddress& destination, const MacAddress& source,
                          std::span<uint8_t> out);
size_t build_reset_onward(std::span<const uint8_t> frame, const ParsedPacket& packet,
                          const Tuple6& to, const MacAddress& destination, const MacAddress& source,
                          std::span<uint8_t> out);

/// ICMP or ICMPv6 port unreachable to the sender of a TCP or UDP packet, from the address that the
/// packet was for. Quotes the packet from its IP header on: as much as keeps the reply within 576
/// bytes for IPv4 (RFC 1812 §4.3.2.3) and within the minimum MTU for IPv6 (RFC 4443 §3.1).
size_t build_port_unreachable(std::span<const uint8_t> frame, const ParsedPacket& packet,
                              std::span<uint8_t> out);

}  // namespace sluice::wire

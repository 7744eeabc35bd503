// IPv6 extension headers (RFC 8200 §4).
#include <gtest/gtest.h>

#include "dataplane/wire/parse.h"
#include "tests/dataplane/wire/packet_builder.h"

namespace sluice::wire {
namespace {

using test::build;
using test::Bytes;
using test::Extension;
using test::PacketSpec;

PacketSpec syn_with(std::vector<Extension> extensions) {
  PacketSpec spec = test::tcp_spec("[fd00:1::1]:40000", "[fd00:1::64]:80", tcp_syn);
  spec.extensions = std::move(extensions);
  return spec;
}

Extension options(uint8_t kind, size_t bytes = 8) { return {kind, Bytes(bytes - 2, 0)}; }

/// Type 4 (segment routing) with `left` segments to go.
Extension routing(uint8_t left) { return {protocol::routing, {4, left, 0, 0, 0, 0}}; }

Extension fragment(uint16_t offset_and_flags) {
  const auto high = static_cast<uint8_t>(offset_and_flags >> 8);
  const auto low = static_cast<uint8_t>(offset_and_flags);
  return {protocol::fragment, {high, low, 0, 0, 0, 1}};
}

Verdict verdict_of(const std::vector<Extension>& extensions) {
  ParsedPacket packet;
  return parse(build(syn_with(extensions)), packet);
}

TEST(ParseExtensions, FindsTheUpperLayer) {
  const std::vector<Extension> chain = {options(protocol::hop_by_hop, 16),
                                        options(protocol::destination_options, 24), routing(0),
                                        options(protocol::destination_options)};
  ParsedPacket packet;
  ASSERT_EQ(parse(build(syn_with(chain)), packet), Verdict::none);
  EXPECT_EQ(packet.kind, PacketKind::flow);
  EXPECT_EQ(packet.protocol, protocol_tcp);
  EXPECT_EQ(packet.l4_offset, 14 + 40 + 16 + 24 + 8 + 8);
  EXPECT_EQ(packet.payload_offset, packet.l4_offset + 20);
  EXPECT_EQ(swap16(packet.v6.destination_port), 80);
}

TEST(ParseExtensions, PuntsPacketsWithSegmentsToVisit) {
  EXPECT_EQ(verdict_of({routing(0)}), Verdict::none);
  EXPECT_EQ(verdict_of({routing(1)}), Verdict::other_protocol);
}

TEST(ParseExtensions, PuntsIcmpBehindOptions) {
  PacketSpec report = test::icmp_spec("[fe80::1]:1", "[ff02::16]:1", 143, 0, Bytes{0, 0, 0, 0});
  report.extensions = {options(protocol::hop_by_hop)};
  ParsedPacket packet;
  EXPECT_EQ(parse(build(report), packet), Verdict::icmp);
}

TEST(ParseExtensions, AllowsHopByHopOnlyInFront) {
  EXPECT_EQ(verdict_of({options(protocol::hop_by_hop)}), Verdict::none);
  EXPECT_EQ(verdict_of({options(protocol::destination_options), options(protocol::hop_by_hop)}),
            Verdict::bad_ipv6_header);
  EXPECT_EQ(verdict_of({options(protocol::hop_by_hop), options(protocol::hop_by_hop)}),
            Verdict::bad_ipv6_header);
}

TEST(ParseExtensions, BoundsTheChain) {
  std::vector<Extension> chain(8, options(protocol::destination_options));
  EXPECT_EQ(verdict_of(chain), Verdict::none);
  chain.push_back(options(protocol::destination_options));
  EXPECT_EQ(verdict_of(chain), Verdict::bad_ipv6_header);
}

TEST(ParseExtensions, DropsHeadersThatReachPastTheEnd) {
  Bytes frame = build(syn_with({options(protocol::destination_options)}));
  ParsedPacket packet;
  frame[55] = 2;  // 24 bytes: all of the TCP header but four bytes
  EXPECT_EQ(parse(frame, packet), Verdict::bad_tcp_header);
  frame[55] = 3;
  EXPECT_EQ(parse(frame, packet), Verdict::bad_ipv6_header);
  frame[55] = 255;
  EXPECT_EQ(parse(frame, packet), Verdict::bad_ipv6_header);
  // No room for even the smallest header.
  PacketSpec tiny = syn_with({});
  tiny.protocol = protocol::destination_options;
  tiny.payload = {6, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(parse(build(tiny), packet), Verdict::bad_ipv6_header);
  tiny.payload = {};
  EXPECT_EQ(parse(build(tiny), packet), Verdict::bad_ipv6_header);
}

TEST(ParseExtensions, MarksFragments) {
  for (const uint16_t field : {0x0001, 0x0008, 0x0009, 0xfff8}) {
    ParsedPacket packet;
    ASSERT_EQ(
        parse(build(syn_with({options(protocol::destination_options), fragment(field)})), packet),
        Verdict::none);
    EXPECT_EQ(packet.kind, PacketKind::fragment);
    EXPECT_EQ(packet.protocol, protocol_tcp);
    EXPECT_EQ(packet.v6.source_port, 0);
    EXPECT_EQ(packet.v6.destination_port, 0);
    EXPECT_EQ(to_string(ip_address(packet.v6.destination)), "fd00:1::64");
  }
}

TEST(ParseExtensions, ReadsAnAtomicFragmentAsAWholePacket) {  // RFC 6946
  ParsedPacket packet;
  ASSERT_EQ(parse(build(syn_with({fragment(0)})), packet), Verdict::none);
  EXPECT_EQ(packet.kind, PacketKind::flow);
  EXPECT_EQ(packet.l4_offset, 14 + 40 + 8);
}

TEST(ParseExtensions, IgnoresWhatIsReservedInAFragmentHeader) {
  Bytes frame = build(syn_with({fragment(0)}));
  frame[55] = 0xff;  // would be a length in any other extension header
  ParsedPacket packet;
  EXPECT_EQ(parse(frame, packet), Verdict::none);
}

}  // namespace
}  // namespace sluice::wire

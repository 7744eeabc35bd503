#include "dataplane/wire/parse.h"

#include <gtest/gtest.h>

#include "tests/dataplane/wire/golden.h"

namespace sluice::wire {
namespace {

using test::build;
using test::Bytes;
using test::PacketSpec;
using test::tcp_spec;
using test::udp_spec;

constexpr size_t ip_at = 14;

Verdict verdict_of(const Bytes& frame) {
  ParsedPacket packet;
  return parse(frame, packet);
}

/// The frame with another value at `at`, its IPv4 header checksum put right again.
Bytes changed4(Bytes frame, size_t at, uint8_t value) {
  frame.at(at) = value;
  const size_t header_bytes = std::min<size_t>((frame[ip_at] & 15) * 4, frame.size() - ip_at);
  test::set16(frame, ip_at + 10, 0);
  test::set16(frame, ip_at + 10,
              static_cast<uint16_t>(~test::naive_sum({frame.data() + ip_at, header_bytes})));
  return frame;
}

Bytes changed(Bytes frame, size_t at, uint8_t value) {
  frame.at(at) = value;
  return frame;
}

PacketSpec syn4() { return tcp_spec("10.0.0.1:40000", "10.0.0.100:80", tcp_syn); }
PacketSpec syn6() { return tcp_spec("[fd00:1::1]:40000", "[fd00:1::64]:80", tcp_syn); }
PacketSpec query4() { return udp_spec("10.0.0.1:5353", "10.0.0.100:53", "hello"); }
PacketSpec query6() { return udp_spec("[fd00:1::1]:5353", "[fd00:1::64]:53", "hello"); }

TEST(Parse, ReadsTcpOverIpv4) {
  ParsedPacket packet;
  ASSERT_EQ(parse(test::tcp4_in, packet), Verdict::none);
  EXPECT_EQ(packet.kind, PacketKind::flow);
  EXPECT_EQ(packet.family, Family::v4);
  EXPECT_EQ(packet.protocol, protocol_tcp);
  EXPECT_EQ(packet.tcp_flags, tcp_syn);
  EXPECT_EQ(packet.l3_offset, 14);
  EXPECT_EQ(packet.l4_offset, 34);
  EXPECT_EQ(packet.payload_offset, 62);
  EXPECT_EQ(packet.l3_bytes, 48);
  EXPECT_EQ(to_string(ip_address(packet.v4.source)), "10.0.0.1");
  EXPECT_EQ(to_string(ip_address(packet.v4.destination)), "10.0.0.100");
  EXPECT_EQ(swap16(packet.v4.source_port), 40'000);
  EXPECT_EQ(swap16(packet.v4.destination_port), 80);
}

TEST(Parse, ReadsUdpOverIpv6) {
  ParsedPacket packet;
  ASSERT_EQ(parse(test::udp6_in, packet), Verdict::none);
  EXPECT_EQ(packet.kind, PacketKind::flow);
  EXPECT_EQ(packet.family, Family::v6);
  EXPECT_EQ(packet.protocol, protocol_udp);
  EXPECT_EQ(packet.tcp_flags, 0);
  EXPECT_EQ(packet.l3_offset, 14);
  EXPECT_EQ(packet.l4_offset, 54);
  EXPECT_EQ(packet.payload_offset, 62);
  EXPECT_EQ(packet.l3_bytes, 53);
  EXPECT_EQ(to_string(ip_address(packet.v6.source)), "fd00:1::1");
  EXPECT_EQ(to_string(ip_address(packet.v6.destination)), "fd00:1::64");
  EXPECT_EQ(swap16(packet.v6.source_port), 5'353);
  EXPECT_EQ(swap16(packet.v6.destination_port), 53);
}

TEST(Parse, ForgetsTheEarlierPacket) {
  ParsedPacket packet;
  ASSERT_EQ(parse(test::tcp4_in, packet), Verdict::none);
  ASSERT_EQ(parse(test::udp4_in, packet), Verdict::none);
  EXPECT_EQ(packet.tcp_flags, 0);
  EXPECT_EQ(packet.payload_offset, 42);
  Bytes arp = test::udp4_in;
  test::set16(arp, 12, ethernet::type_arp);
  EXPECT_EQ(parse(arp, packet), Verdict::not_ip);
  EXPECT_EQ(packet.kind, PacketKind::other);
  EXPECT_EQ(packet.l3_offset, 0);
}

TEST(Parse, LooksPastOptionsAndPadding) {
  PacketSpec spec = query4();
  spec.ipv4_options = Bytes(40, 1);
  spec.frame_bytes_min = 200;
  ParsedPacket packet;
  ASSERT_EQ(parse(build(spec), packet), Verdict::none);
  EXPECT_EQ(packet.l4_offset, 14 + 60);
  EXPECT_EQ(packet.l3_bytes, 60 + 8 + 5);
  PacketSpec tcp = syn6();
  tcp.tcp_options = Bytes(40, 1);
  tcp.payload = test::text_bytes("x");
  tcp.frame_bytes_min = 300;
  ASSERT_EQ(parse(build(tcp), packet), Verdict::none);
  EXPECT_EQ(packet.payload_offset, 14 + 40 + 60);
  EXPECT_EQ(packet.l3_bytes, 40 + 60 + 1);
}

TEST(Parse, PuntsWhatIsNotIp) {
  Bytes frame = build(syn4());
  for (const uint32_t type : {ethernet::type_arp, ethernet::type_vlan, uint16_t{0x88cc},
                              uint16_t{0x0026}, uint16_t{0x8847}}) {
    test::set16(frame, 12, type);
    EXPECT_EQ(verdict_of(frame), Verdict::not_ip) << type;
  }
}

TEST(Parse, PuntsIcmpAndOtherProtocols) {
  const Bytes rest = {0, 0, 0, 0};
  const auto icmp4 = test::icmp_spec("10.0.0.1:1", "10.0.0.100:1", 8, 0, rest);
  ParsedPacket packet;
  EXPECT_EQ(parse(build(icmp4), packet), Verdict::icmp);
  EXPECT_EQ(packet.kind, PacketKind::other);
  EXPECT_EQ(packet.protocol, protocol::icmp);
  EXPECT_EQ(to_string(ip_address(packet.v4.destination)), "10.0.0.100");
  const auto solicitation = test::icmp_spec("[fe80::1]:1", "[ff02::1:ff00:64]:1", 135, 0, rest);
  EXPECT_EQ(verdict_of(build(solicitation)), Verdict::icmp);
  for (const uint8_t protocol : {2, 47, 50, 51, 58, 89, 132, 255}) {
    PacketSpec spec = syn4();
    spec.protocol = protocol;
    EXPECT_EQ(verdict_of(build(spec)), Verdict::other_protocol) << int{protocol};
  }
  for (const uint8_t protocol : {1, 47, 50, 51, 59, 89, 132, 135, 255}) {
    PacketSpec spec = syn6();
    spec.protocol = protocol;
    EXPECT_EQ(verdict_of(build(spec)), Verdict::other_protocol) << int{protocol};
  }
}

TEST(Parse, DropsEveryFrameThatIsCutOff) {
  for (const Bytes& golden : {test::tcp4_in, test::udp4_in, test::tcp6_in, test::udp6_in}) {
    for (size_t size = 0; size < golden.size(); ++size) {
      const Bytes frame(golden.begin(), golden.begin() + static_cast<long>(size));
      EXPECT_EQ(verdict_of(frame), Verdict::short_frame) << size;
    }
  }
}

TEST(Parse, DropsBadIpv4Headers) {
  const Bytes good = build(syn4());
  EXPECT_EQ(verdict_of(good), Verdict::none);
  EXPECT_EQ(verdict_of(changed4(good, ip_at, 0x55)), Verdict::bad_ipv4_header);  // version
  EXPECT_EQ(verdict_of(changed4(good, ip_at, 0x44)), Verdict::bad_ipv4_header);  // IHL 16
  EXPECT_EQ(verdict_of(changed4(good, ip_at, 0x4f)),
            Verdict::bad_ipv4_header);  // IHL 60 > total 40
  EXPECT_EQ(verdict_of(changed4(good, ip_at + 3, 19)), Verdict::bad_ipv4_header);
  EXPECT_EQ(verdict_of(changed4(good, ip_at + 3, 0)), Verdict::bad_ipv4_header);
  EXPECT_EQ(verdict_of(changed4(good, ip_at + 2, 0xff)), Verdict::short_frame);
}

TEST(Parse, ChecksTheIpv4HeaderChecksumUnlessTheDeviceHas) {
  PacketSpec spec = syn4();
  spec.ipv4_options = {1, 1, 1, 0};
  const Bytes good = build(spec);
  ParsedPacket packet;
  for (size_t at = 0; at < 24; ++at) {
    if (at == 0 || at == 2 || at == 3) continue;  // version and lengths have their own verdicts
    const Bytes bad = changed(good, ip_at + at, static_cast<uint8_t>(good[ip_at + at] ^ 0x10));
    EXPECT_EQ(parse(bad, packet), Verdict::bad_ipv4_checksum) << at;
    EXPECT_NE(parse(bad, packet, HeaderChecksum::verified), Verdict::bad_ipv4_checksum) << at;
  }
}

TEST(Parse, DropsBadIpv6Headers) {
  const Bytes good = build(syn6());
  EXPECT_EQ(verdict_of(good), Verdict::none);
  EXPECT_EQ(verdict_of(changed(good, ip_at, 0x40)), Verdict::bad_ipv6_header);
  EXPECT_EQ(verdict_of(changed(good, ip_at + 4, 0xff)), Verdict::short_frame);
  EXPECT_EQ(verdict_of(changed(good, ip_at + 5, 0)), Verdict::bad_tcp_header);  // no payload at all
  EXPECT_EQ(verdict_of(changed(good, ip_at + 5, 19)), Verdict::bad_tcp_header);
}

TEST(Parse, DropsBadTcpHeaders) {
  for (const Bytes& good : {build(syn4()), build(syn6())}) {
    const size_t l4 = good[12] == 0x08 ? 34 : 54;
    EXPECT_EQ(verdict_of(changed(good, l4 + 12, 0x40)), Verdict::bad_tcp_header);
    EXPECT_EQ(verdict_of(changed(good, l4 + 12, 0x00)), Verdict::bad_tcp_header);
    EXPECT_EQ(verdict_of(changed(good, l4 + 12, 0x60)), Verdict::bad_tcp_header);  // past the end
  }
  PacketSpec cut = syn4();
  cut.protocol = 253;  // so that the builder writes only the payload
  cut.payload = Bytes(19, 0x50);
  EXPECT_EQ(verdict_of(changed4(build(cut), ip_at + 9, protocol_tcp)), Verdict::bad_tcp_header);
}

TEST(Parse, KnowsWhichTcpFlagsNoHostSends) {
  for (unsigned flags = 0; flags < 256; ++flags) {
    PacketSpec spec = syn4();
    spec.tcp_flags = static_cast<uint8_t>(flags);
    const bool syn = flags & tcp_syn, fin = flags & tcp_fin, rst = flags & tcp_rst;
    const bool ack = flags & tcp_ack;
    const bool impossible = (syn && fin) || (syn && rst) || (!syn && !rst && !ack);
    EXPECT_EQ(verdict_of(build(spec)), impossible ? Verdict::bad_tcp_header : Verdict::none)
        << flags;
  }
}

TEST(Parse, DropsBadUdpHeaders) {
  for (const Bytes& good : {build(query4()), build(query6())}) {
    const size_t length_at = (good[12] == 0x08 ? 34 : 54) + 5;
    EXPECT_EQ(verdict_of(changed(good, length_at, 7)), Verdict::bad_udp_header);
    EXPECT_EQ(verdict_of(changed(good, length_at, 0)), Verdict::bad_udp_header);
    EXPECT_EQ(verdict_of(changed(good, length_at, 14)), Verdict::bad_udp_header);
    EXPECT_EQ(verdict_of(changed(good, length_at, 12)), Verdict::none);  // shorter is legal
  }
  PacketSpec no_checksum = query4();
  no_checksum.udp_checksum = false;
  EXPECT_EQ(verdict_of(build(no_checksum)), Verdict::none);
  PacketSpec no_checksum6 = query6();
  no_checksum6.udp_checksum = false;
  EXPECT_EQ(verdict_of(build(no_checksum6)), Verdict::bad_udp_header);
}

TEST(Parse, DropsBadSources) {
  const auto verdict = [](const char* source, const char* destination) {
    return verdict_of(build(udp_spec(source, destination)));
  };
  for (const char* source : {"127.0.0.1:1", "127.255.255.255:1", "224.0.0.1:1", "239.1.2.3:1",
                             "255.255.255.255:1", "0.0.0.0:1", "0.1.2.3:1", "10.0.0.100:1"}) {
    EXPECT_EQ(verdict(source, "10.0.0.100:53"), Verdict::bad_source) << source;
  }
  for (const char* source : {"1.0.0.0:1", "126.255.255.255:1", "128.0.0.1:1", "223.255.255.255:1",
                             "240.0.0.1:1", "169.254.1.1:1"}) {
    EXPECT_EQ(verdict(source, "10.0.0.100:53"), Verdict::none) << source;
  }
  for (const char* source :
       {"[::]:1", "[::1]:1", "[ff02::1]:1", "[::ffff:10.0.0.1]:1", "[fd00::64]:1"}) {
    EXPECT_EQ(verdict(source, "[fd00::64]:53"), Verdict::bad_source) << source;
  }
  for (const char* source :
       {"[fe80::1]:1", "[2001:db8::1]:1", "[64:ff9b::a00:1]:1", "[::2]:1", "[::10.0.0.1]:1"}) {
    EXPECT_EQ(verdict(source, "[fd00::64]:53"), Verdict::none) << source;
  }
}

TEST(Parse, LetsHostsWithoutAnAddressReachTheKernel) {
  // Not bad_source: such packets are for no listener, so the pipeline punts them.
  EXPECT_EQ(verdict_of(build(udp_spec("0.0.0.0:68", "255.255.255.255:67"))), Verdict::none);
  EXPECT_EQ(verdict_of(build(udp_spec("10.0.0.7:5353", "224.0.0.251:5353"))), Verdict::none);
  EXPECT_EQ(verdict_of(build(udp_spec("[fe80::1]:546", "[ff02::1:2]:547"))), Verdict::none);
  const Bytes rest = {0, 0, 0, 0};
  EXPECT_EQ(verdict_of(build(test::icmp_spec("[::]:1", "[ff02::1:ff00:1]:1", 135, 0, rest))),
            Verdict::icmp);
  EXPECT_EQ(verdict_of(build(udp_spec("0.1.2.3:68", "255.255.255.255:67"))), Verdict::bad_source);
}

TEST(Parse, MarksIpv4Fragments) {
  for (const uint16_t field : {0x2000, 0x2001, 0x0001, 0x1fff}) {
    PacketSpec spec = query4();
    spec.fragment_field = field;
    ParsedPacket packet;
    ASSERT_EQ(parse(build(spec), packet), Verdict::none);
    EXPECT_EQ(packet.kind, PacketKind::fragment);
    EXPECT_EQ(packet.protocol, protocol_udp);
    EXPECT_EQ(packet.v4.source_port, 0);
    EXPECT_EQ(packet.v4.destination_port, 0);
    EXPECT_EQ(to_string(ip_address(packet.v4.destination)), "10.0.0.100");
  }
  PacketSpec whole = query4();
  whole.fragment_field = 0x8000;  // the reserved bit is no fragment
  EXPECT_EQ(verdict_of(build(whole)), Verdict::none);
}

}  // namespace
}  // namespace sluice::wire

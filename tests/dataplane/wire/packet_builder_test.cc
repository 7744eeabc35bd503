#include "tests/dataplane/wire/packet_builder.h"

#include <gtest/gtest.h>

#include "tests/dataplane/wire/golden.h"

namespace sluice::test {
namespace {

TEST(PacketBuilder, MakesTheGoldenFrames) {
  PacketSpec syn = tcp_spec("10.0.0.1:40000", "10.0.0.100:80", 0x02);
  syn.tcp_options = {2, 4, 5, 0xb4, 1, 3, 3, 7};
  EXPECT_EQ(build(syn), tcp4_in);
  EXPECT_EQ(build(udp_spec("10.0.0.1:5353", "10.0.0.100:53", "hello")), udp4_in);
  PacketSpec get = tcp_spec("[fd00:1::1]:40000", "[fd00:1::64]:80", 0x18, "GET /");
  get.sequence = 0x1122'3344;
  get.acknowledgement = 0x5566'7788;
  get.window = 512;
  EXPECT_EQ(build(get), tcp6_in);
  EXPECT_EQ(build(udp_spec("[fd00:1::1]:5353", "[fd00:1::64]:53", "hello")), udp6_in);
}

TEST(PacketBuilder, FindsEveryWrongChecksum) {
  for (const Bytes& golden :
       {tcp4_in, tcp4_out, udp4_in, udp4_out, tcp6_in, tcp6_out, udp6_in, udp6_out, tcp4_reset,
        tcp6_reset, udp4_unreachable, udp6_unreachable}) {
    EXPECT_EQ(wrong_checksums(golden), "");
    Bytes bad = golden;
    bad.back() ^= 1;
    EXPECT_EQ(wrong_checksums(bad), "L4 checksum is wrong");
    if (golden[12] == 0x08) {
      bad = golden;
      bad[22] ^= 1;
      EXPECT_EQ(wrong_checksums(bad), "IPv4 header checksum is wrong");
    }
    bad = golden;
    bad.pop_back();
    EXPECT_NE(wrong_checksums(bad), "");
  }
}

TEST(PacketBuilder, BuildsWhatTheVerifierAccepts) {
  PacketSpec spec = tcp_spec("10.0.0.1:1", "10.0.0.2:2", 0x10, "odd");
  spec.ipv4_options = {1, 1, 1, 0};
  spec.frame_bytes_min = 100;
  EXPECT_EQ(build(spec).size(), 100u);
  EXPECT_EQ(wrong_checksums(build(spec)), "");
  PacketSpec chained = udp_spec("[fd00::1]:1", "[fd00::2]:2", "odd");
  chained.extensions = {{0, Bytes(6, 0)}, {60, Bytes(14, 0)}};
  EXPECT_EQ(wrong_checksums(build(chained)), "");
  const Bytes rest = {0, 1, 0, 2, 'x'};
  EXPECT_EQ(wrong_checksums(build(icmp_spec("10.0.0.1:1", "10.0.0.2:1", 8, 0, rest))), "");
  EXPECT_EQ(wrong_checksums(build(icmp_spec("[fd00::1]:1", "[fd00::2]:1", 128, 0, rest))), "");
}

}  // namespace
}  // namespace sluice::test

#include "dataplane/wire/rewrite.h"

#include <gtest/gtest.h>

#include "tests/dataplane/base/test_seed.h"
#include "tests/dataplane/wire/golden.h"

namespace sluice::wire {
namespace {

using test::build;
using test::Bytes;
using test::endpoint;
using test::PacketSpec;

Tuple4 tuple4(std::string_view source, std::string_view destination) {
  const Endpoint from = endpoint(source), to = endpoint(destination);
  return {from.address.v4_raw(), to.address.v4_raw(), swap16(from.port), swap16(to.port)};
}

Tuple6 tuple6(std::string_view source, std::string_view destination) {
  const Endpoint from = endpoint(source), to = endpoint(destination);
  return {from.address.bytes, to.address.bytes, swap16(from.port), swap16(to.port)};
}

template <typename Tuple>
Bytes rewritten(Bytes frame, const Tuple& to) {
  ParsedPacket packet;
  EXPECT_EQ(parse(frame, packet), Verdict::none);
  rewrite(frame, packet, to);
  return frame;
}

TEST(Rewrite, TurnsGoldenInIntoGoldenOut) {
  const Tuple4 tcp4 = tuple4("10.0.1.2:32768", "10.0.1.11:8080");
  const Tuple4 udp4 = tuple4("10.0.1.2:32768", "10.0.1.11:5300");
  const Tuple6 tcp6 = tuple6("[fd00:2::2]:32768", "[fd00:2::b]:8080");
  const Tuple6 udp6 = tuple6("[fd00:2::2]:32768", "[fd00:2::b]:5300");
  EXPECT_EQ(rewritten(test::tcp4_in, tcp4), test::tcp4_out);
  EXPECT_EQ(rewritten(test::udp4_in, udp4), test::udp4_out);
  EXPECT_EQ(rewritten(test::tcp6_in, tcp6), test::tcp6_out);
  EXPECT_EQ(rewritten(test::udp6_in, udp6), test::udp6_out);
}

TEST(Rewrite, LeavesUdpWithoutChecksumWithoutOne) {
  PacketSpec spec = test::udp_spec("10.0.0.1:5353", "10.0.0.100:53", "hello");
  spec.udp_checksum = false;
  const Bytes out = rewritten(build(spec), tuple4("10.0.1.2:32768", "10.0.1.11:5300"));
  EXPECT_EQ(test::get16(out, 40), 0);
  EXPECT_EQ(test::wrong_checksums(out), "");
}

// Among 65,536 source ports exactly one gives the sum whose complement is 0.
TEST(Rewrite, SendsAUdpChecksumOfZeroAsAllOnes) {
  const Bytes in4 = build(test::udp_spec("10.0.0.1:5353", "10.0.0.100:53", "hello"));
  const Bytes in6 = build(test::udp_spec("[fd00::1]:5353", "[fd00::64]:53", "hello"));
  int all_ones = 0;
  for (uint32_t port = 0; port < 65'536; ++port) {
    Tuple4 to4 = tuple4("10.0.1.2:1", "10.0.1.11:5300");
    Tuple6 to6 = tuple6("[fd00:2::2]:1", "[fd00:2::b]:5300");
    to4.source_port = to6.source_port = static_cast<uint16_t>(port);
    const Bytes out4 = rewritten(in4, to4), out6 = rewritten(in6, to6);
    ASSERT_NE(test::get16(out4, 40), 0);
    ASSERT_NE(test::get16(out6, 60), 0);
    all_ones += test::get16(out4, 40) == 0xffff;
    all_ones += test::get16(out6, 60) == 0xffff;
    if (port % 97 == 0) {
      ASSERT_EQ(test::wrong_checksums(out4), "");
      ASSERT_EQ(test::wrong_checksums(out6), "");
    }
  }
  EXPECT_EQ(all_ones, 2);
}

TEST(Rewrite, KeepsOptionsExtensionsPayloadAndPadding) {
  PacketSpec spec = test::tcp_spec("10.0.0.1:1", "10.0.0.2:2", tcp_ack, "payload");
  spec.ipv4_options = {1, 1, 1, 0};
  spec.tcp_options = {1, 1, 1, 0};
  spec.frame_bytes_min = 120;
  PacketSpec expected = spec;
  expected.source = endpoint("10.9.0.1:1001");
  expected.destination = endpoint("10.9.0.2:1002");
  expected.ttl = 63;
  EXPECT_EQ(rewritten(build(spec), tuple4("10.9.0.1:1001", "10.9.0.2:1002")), build(expected));

  PacketSpec chain = test::udp_spec("[fd00::1]:1", "[fd00::2]:2", "payload");
  chain.extensions = {{0, Bytes(6, 0)}, {60, Bytes(14, 0)}};
  PacketSpec expected6 = chain;
  expected6.source = endpoint("[fd00:9::1]:1001");
  expected6.destination = endpoint("[fd00:9::2]:1002");
  expected6.ttl = 63;
  EXPECT_EQ(rewritten(build(chain), tuple6("[fd00:9::1]:1001", "[fd00:9::2]:1002")),
            build(expected6));
}

/// The oracle: the same packet, built from scratch with the new tuple.
TEST(Rewrite, EqualsAPacketBuiltAnew) {
  auto random = test::test_random();
  const auto random_ip = [&](Family family, uint8_t last) {
    IpAddress address;
    address.family = family;
    const size_t size = family == Family::v4 ? 4 : 16;
    for (size_t i = 0; i < size; ++i) {
      address.bytes[i] = random() % 4 == 0 ? 0xff : static_cast<uint8_t>(random());
    }
    address.bytes[0] = family == Family::v4 ? 10 : 0xfd;
    address.bytes[size - 1] = last;  // source and destination must differ
    return address;
  };
  for (int i = 0; i < 50'000; ++i) {
    const Family family = i % 2 == 0 ? Family::v4 : Family::v6;
    PacketSpec spec;
    spec.protocol = i % 4 < 2 ? protocol_tcp : protocol_udp;
    spec.source = {random_ip(family, 1), static_cast<uint16_t>(random())};
    spec.destination = {random_ip(family, 2), static_cast<uint16_t>(random())};
    spec.ttl = static_cast<uint8_t>(2 + random() % 254);
    spec.identification = static_cast<uint16_t>(random());
    spec.sequence = static_cast<uint32_t>(random());
    spec.payload.resize(random() % 33);
    for (uint8_t& byte : spec.payload) byte = static_cast<uint8_t>(random());
    Bytes frame = build(spec);
    ParsedPacket packet;
    ASSERT_EQ(parse(frame, packet), Verdict::none);
    ASSERT_EQ(hop_limit(frame, packet), spec.ttl);
    spec.source = {random_ip(family, 1), static_cast<uint16_t>(random())};
    spec.destination = {random_ip(family, 2), static_cast<uint16_t>(random())};
    --spec.ttl;
    const uint16_t from = swap16(spec.source.port), to = swap16(spec.destination.port);
    if (family == Family::v4) {
      const uint32_t source = spec.source.address.v4_raw();
      rewrite(frame, packet, Tuple4{source, spec.destination.address.v4_raw(), from, to});
    } else {
      rewrite(frame, packet,
              Tuple6{spec.source.address.bytes, spec.destination.address.bytes, from, to});
    }
    ASSERT_EQ(frame, build(spec)) << i;
  }
}

TEST(Rewrite, WritesBothMacAddresses) {
  Bytes frame = test::tcp4_in;
  // Raw, with something above that must not show.
  rewrite_ethernet(frame, 0xffff'0605'0403'0201, 0xffff'0c0b'0a09'0807);
  const Bytes head(frame.begin(), frame.begin() + 12);
  EXPECT_EQ(head, (Bytes{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(Bytes(frame.begin() + 12, frame.end()),
            Bytes(test::tcp4_in.begin() + 12, test::tcp4_in.end()));
}

}  // namespace
}  // namespace sluice::wire

// Golden packets of nat mode: bytes in → verdict and bytes out, whole frames compared byte by byte
// with frames that the packet builder makes from scratch, checksums included.
#include <gtest/gtest.h>

#include <string>

#include "tests/dataplane/pipeline_rig.h"
#include "tests/dataplane/snapshot_builder.h"

namespace sluice::test {
namespace {

struct Family2 {
  const char* name;
  const char* client;
  const char* tcp_listener;
  const char* udp_listener;
  const char* backend_a;
  const char* backend_b;
  const char* snat;  // address of the back port, without port
};

constexpr Family2 ipv4 = {"v4",
                          "192.0.2.7:40000",
                          "10.0.0.100:80",
                          "10.0.0.100:53",
                          "10.0.1.11:8080",
                          "10.0.1.12:8080",
                          "10.0.1.2:"};
constexpr Family2 ipv6 = {"v6",
                          "[2001:db8::7]:40000",
                          "[fd00:1::100]:80",
                          "[fd00:1::100]:53",
                          "[fd00:2::11]:8080",
                          "[fd00:2::12]:8080",
                          "[fd00:2::2]:"};

class NatGolden : public ::testing::TestWithParam<Family2> {
 protected:
  NatGolden() : rig_(plain_net().finish()) {}

  /// The backend and SNAT endpoint that the rewritten frame went to.
  void learn(const Bytes& out) {
    wire::ParsedPacket packet;
    ASSERT_EQ(wire::parse(out, packet), Verdict::none);
    const bool is_v4 = packet.family == Family::v4;
    snat_ = {is_v4 ? ip_address(packet.v4.source) : ip_address(packet.v6.source),
             swap16(is_v4 ? packet.v4.source_port : packet.v6.source_port)};
    backend_ = {is_v4 ? ip_address(packet.v4.destination) : ip_address(packet.v6.destination),
                swap16(is_v4 ? packet.v4.destination_port : packet.v6.destination_port)};
    EXPECT_TRUE(backend_ == endpoint(GetParam().backend_a) ||
                backend_ == endpoint(GetParam().backend_b))
        << to_string(backend_);
    EXPECT_EQ(to_string(snat_), std::string(GetParam().snat) + std::to_string(snat_.port));
    EXPECT_GE(snat_.port, 1024);
    EXPECT_LE(snat_.port, 32'767);
  }

  /// `spec` as it must leave towards the backend.
  Bytes to_backend(PacketSpec spec) const {
    spec.source_mac = back_mac;
    spec.destination_mac = backend_mac;
    spec.source = snat_;
    spec.destination = backend_;
    --spec.ttl;
    return build(spec);
  }

  /// A packet of the backend in answer to `spec`, and as it must leave towards the client.
  PacketSpec from_backend(PacketSpec spec, uint8_t flags, std::string_view payload) const {
    spec.source_mac = backend_mac;
    spec.destination_mac = back_mac;
    spec.source = backend_;
    spec.destination = snat_;
    spec.tcp_flags = flags;
    spec.payload = text_bytes(payload);
    return spec;
  }
  static Bytes to_client(PacketSpec reply, const PacketSpec& request) {
    reply.source_mac = front_mac;
    reply.destination_mac = client_mac;
    reply.source = request.destination;
    reply.destination = request.source;
    --reply.ttl;
    return build(reply);
  }

  /// One request and one reply through the pipeline, both compared with what must come out.
  void expect_round_trip(PacketSpec request, PacketSpec reply_template) {
    request.source_mac = client_mac;
    request.destination_mac = front_mac;
    const Outcome out = rig_.deliver_one(build(request), 0);
    ASSERT_EQ(out.verdict, Verdict::to_backend) << verdict_name(out.verdict);
    EXPECT_EQ(out.egress, 1);
    learn(out.bytes);
    EXPECT_EQ(out.bytes, to_backend(request));
    EXPECT_EQ(wrong_checksums(out.bytes), "");

    const PacketSpec reply =
        from_backend(reply_template, reply_template.tcp_flags, "an answer of odd length");
    const Outcome back = rig_.deliver_one(build(reply), 1);
    ASSERT_EQ(back.verdict, Verdict::to_client) << verdict_name(back.verdict);
    EXPECT_EQ(back.egress, 0);
    EXPECT_EQ(back.bytes, to_client(reply, request));
    EXPECT_EQ(wrong_checksums(back.bytes), "");
    EXPECT_TRUE(rig_.conserves());
  }

  PipelineRig rig_;
  Endpoint snat_, backend_;
};

TEST_P(NatGolden, TcpHandshakeAndData) {
  const PacketSpec syn = tcp_spec(GetParam().client, GetParam().tcp_listener, wire::tcp_syn);
  expect_round_trip(
      syn, tcp_spec(GetParam().client, GetParam().tcp_listener, wire::tcp_syn | wire::tcp_ack));
  const Endpoint first_snat = snat_;
  PacketSpec data = tcp_spec(GetParam().client, GetParam().tcp_listener,
                             wire::tcp_ack | wire::tcp_psh, "GET / HTTP/1.1\r\n\r\n");
  data.tcp_options = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};  // timestamps
  expect_round_trip(data, tcp_spec(GetParam().client, GetParam().tcp_listener, wire::tcp_ack));
  EXPECT_EQ(snat_, first_snat) << "one flow, one SNAT port";
}

TEST_P(NatGolden, UdpBothWays) {
  const PacketSpec query = udp_spec(GetParam().client, GetParam().udp_listener, "a query");
  expect_round_trip(query, udp_spec(GetParam().client, GetParam().udp_listener));
}

TEST_P(NatGolden, LastHopThatMayBeForwarded) {
  PacketSpec query = udp_spec(GetParam().client, GetParam().udp_listener, "x");
  query.ttl = 2;
  expect_round_trip(query, udp_spec(GetParam().client, GetParam().udp_listener));
}

TEST_P(NatGolden, PaddingBehindThePacketStays) {
  PacketSpec query = udp_spec(GetParam().client, GetParam().udp_listener, "x");
  query.frame_bytes_min = 80;
  expect_round_trip(query, udp_spec(GetParam().client, GetParam().udp_listener));
}

TEST_P(NatGolden, RepliesGoThroughTheHopThatTheClientCameFrom) {
  PacketSpec syn = tcp_spec(GetParam().client, GetParam().tcp_listener, wire::tcp_syn);
  syn.source_mac = client_mac;
  const Outcome out = rig_.deliver_one(build(syn), 0);
  learn(out.bytes);
  // The router in front changes: another MAC, and another port.
  const MacAddress other_router{{0x02, 0, 0, 0, 0, 0x77}};
  PacketSpec ack = tcp_spec(GetParam().client, GetParam().tcp_listener, wire::tcp_ack);
  ack.source_mac = other_router;
  ASSERT_EQ(rig_.deliver_one(build(ack), 1).verdict, Verdict::to_backend);
  const PacketSpec reply = from_backend(ack, wire::tcp_ack, "late");
  const Outcome back = rig_.deliver_one(build(reply), 1);
  ASSERT_EQ(back.verdict, Verdict::to_client);
  EXPECT_EQ(back.egress, 1);
  PacketSpec expected = reply;
  expected.source_mac = back_mac;
  expected.destination_mac = other_router;
  expected.source = ack.destination;
  expected.destination = ack.source;
  --expected.ttl;
  EXPECT_EQ(back.bytes, build(expected));
}

TEST_P(NatGolden, HopThatMovesWithinABurstKeepsMacAndPortTogether) {
  PacketSpec query = udp_spec(GetParam().client, GetParam().udp_listener, "one");
  query.source_mac = client_mac;
  learn(rig_.deliver_one(build(query), 0).bytes);
  const MacAddress other_router{{0x02, 0, 0, 0, 0, 0x77}};
  query.source_mac = other_router;
  const PacketSpec reply = from_backend(query, 0, "an answer");
  const auto outcomes =
      rig_.deliver(0, {{build(reply), 1, 0}, {build(query), 1, 0}, {build(reply), 1, 0}});
  for (const unsigned i : {0u, 2u}) {
    ASSERT_EQ(outcomes[i].verdict, Verdict::to_client);
    const auto mac = [&](unsigned at) {
      return Bytes(outcomes[i].bytes.begin() + at, outcomes[i].bytes.begin() + at + 6);
    };
    const bool moved = outcomes[i].egress == 1;
    const MacAddress& from = moved ? back_mac : front_mac;
    const MacAddress& to = moved ? other_router : client_mac;
    EXPECT_EQ(mac(0), Bytes(to.bytes.begin(), to.bytes.end()));
    EXPECT_EQ(mac(6), Bytes(from.bytes.begin(), from.bytes.end()));
  }
  EXPECT_EQ(outcomes[2].egress, 1);
}

INSTANTIATE_TEST_SUITE_P(Families, NatGolden, ::testing::Values(ipv4, ipv6),
                         [](const auto& family) { return std::string(family.param.name); });

TEST(NatGoldenV4, UdpWithoutChecksumStaysWithout) {
  PipelineRig rig(plain_net().finish());
  PacketSpec query = udp_spec("192.0.2.7:40000", "10.0.0.100:53", "plain");
  query.udp_checksum = false;
  const Outcome out = rig.deliver_one(build(query));
  ASSERT_EQ(out.verdict, Verdict::to_backend);
  EXPECT_EQ(get16(out.bytes, 14 + 20 + 6), 0);
  EXPECT_EQ(wrong_checksums(out.bytes), "");
}

TEST(NatGoldenV4, OptionsStay) {
  PipelineRig rig(plain_net().finish());
  PacketSpec query = udp_spec("192.0.2.7:40000", "10.0.0.100:53", "plain");
  query.ipv4_options = {1, 1, 1, 0};
  const Outcome out = rig.deliver_one(build(query));
  ASSERT_EQ(out.verdict, Verdict::to_backend);
  EXPECT_EQ(wrong_checksums(out.bytes), "");
  EXPECT_EQ(out.bytes[14], 0x46);
  EXPECT_EQ(Bytes(out.bytes.begin() + 34, out.bytes.begin() + 38), query.ipv4_options);
}

TEST(NatGoldenV6, ExtensionHeadersStay) {
  PipelineRig rig(plain_net().finish());
  PacketSpec query = udp_spec("[2001:db8::7]:40000", "[fd00:1::100]:53", "plain");
  query.extensions = {Extension{}};
  const Outcome out = rig.deliver_one(build(query));
  ASSERT_EQ(out.verdict, Verdict::to_backend);
  EXPECT_EQ(wrong_checksums(out.bytes), "");
  EXPECT_EQ(out.bytes[14 + 6], 60);
}

// Every checksum that a UDP packet can have on its way in leads to a right one on its way out,
// 0xffff for a computed zero included.
TEST(NatGoldenV4, EveryUdpChecksum) {
  PipelineRig rig(plain_net().finish());
  for (uint32_t value = 0; value < 65'536; ++value) {
    PacketSpec query = udp_spec("192.0.2.7:40000", "10.0.0.100:53");
    query.payload = {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
    const Outcome out = rig.deliver_one(build(query));
    ASSERT_EQ(out.verdict, Verdict::to_backend);
    ASSERT_EQ(wrong_checksums(out.bytes), "") << value;
    ASSERT_NE(get16(out.bytes, 14 + 20 + 6), 0) << value;
  }
}

}  // namespace
}  // namespace sluice::test

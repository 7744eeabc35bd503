// Ownership with 1, 2 and 4 workers: every packet of a flow is handled by the worker that owns its
// tuple, whatever queue it came by, and replies reach that worker without a hand-off.
#include <gtest/gtest.h>

#include <random>

#include "tests/dataplane/base/test_seed.h"
#include "tests/dataplane/pipeline_rig.h"
#include "tests/dataplane/snapshot_builder.h"

namespace sluice::test {
namespace {

class Ownership : public ::testing::TestWithParam<unsigned> {
 protected:
  Ownership() : rig_(plain_net().finish(), {.workers = GetParam()}), random_(test_seed()) {}

  unsigned any_worker() { return static_cast<unsigned>(random_() % GetParam()); }

  unsigned owner_of(const Bytes& frame) const {
    wire::ParsedPacket packet;
    EXPECT_EQ(wire::parse(frame, packet), Verdict::none);
    return packet.family == Family::v4 ? rig_.owner().owner(packet.v4)
                                       : rig_.owner().owner(packet.v6);
  }

  /// The backend's answer to a frame that left for it.
  static Bytes answer(const Bytes& out, const PacketSpec& request) {
    wire::ParsedPacket packet;
    EXPECT_EQ(wire::parse(out, packet), Verdict::none);
    PacketSpec reply = request;
    reply.tcp_flags = wire::tcp_syn | wire::tcp_ack;
    const bool is_v4 = packet.family == Family::v4;
    reply.source = {is_v4 ? ip_address(packet.v4.destination) : ip_address(packet.v6.destination),
                    swap16(is_v4 ? packet.v4.destination_port : packet.v6.destination_port)};
    reply.destination = {is_v4 ? ip_address(packet.v4.source) : ip_address(packet.v6.source),
                         swap16(is_v4 ? packet.v4.source_port : packet.v6.source_port)};
    return build(reply);
  }

  void expect_owned(const PacketSpec& request) {
    const Bytes frame = build(request);
    const unsigned owner = owner_of(frame);
    Bytes sent;
    for (int packet = 0; packet < 3; ++packet) {
      const unsigned by = any_worker();
      const Outcome out = rig_.deliver_one(frame, 0, by);
      ASSERT_EQ(out.verdict, Verdict::to_backend);
      EXPECT_EQ(out.worker, owner);
      EXPECT_EQ(out.handed_on, by != owner);
      if (packet != 0) {
        EXPECT_EQ(out.bytes, sent) << "one flow, whatever queue";
      }
      sent = out.bytes;
    }
    const Bytes reply = answer(sent, request);
    EXPECT_EQ(owner_of(reply), owner) << "the SNAT port was chosen for this";
    const Outcome back = rig_.deliver_one(reply, 1, owner_of(reply));
    EXPECT_EQ(back.verdict, Verdict::to_client);
    EXPECT_EQ(back.worker, owner);
    EXPECT_FALSE(back.handed_on);
    EXPECT_EQ(rig_.deliver_one(reply, 1, any_worker()).worker, owner);
  }

  PipelineRig rig_;
  std::mt19937_64 random_;
};

TEST_P(Ownership, EveryPacketAtItsOwner) {
  for (unsigned flow = 0; flow < 400; ++flow) {
    const std::string port = std::to_string(1024 + flow * 7);
    const std::string v4 = "192.0." + std::to_string(flow % 250) + ".7:" + port;
    const std::string v6 = "[2001:db8:" + std::to_string(flow) + "::7]:" + port;
    expect_owned(tcp_spec(v4, "10.0.0.100:80", wire::tcp_syn));
    expect_owned(udp_spec(v4, "10.0.0.100:53", "query"));
    expect_owned(tcp_spec(v6, "[fd00:1::100]:80", wire::tcp_syn));
    expect_owned(udp_spec(v6, "[fd00:1::100]:53", "query"));
  }
  EXPECT_TRUE(rig_.conserves());
  uint64_t flows = 0;
  for (unsigned worker = 0; worker < rig_.size(); ++worker) {
    const auto& state = rig_.state(worker);
    const uint64_t own = state.connections_v4.size() + state.connections_v6.size();
    EXPECT_GT(own, 1600 / rig_.size() / 2) << "spread over the workers";
    flows += own;
  }
  EXPECT_EQ(flows, 1600u) << "each in one table only";
}

TEST_P(Ownership, FullBurstOfMixedOwnersKeepsEveryPacket) {
  std::vector<Arrival> burst;
  for (unsigned i = 0; i < 32; ++i) {
    const std::string client = "192.0.2.7:" + std::to_string(3000 + i);
    if (i % 5 == 4) {
      Bytes arp(60, 0);
      set16(arp, 12, 0x0806);
      burst.push_back({arp, 0, 0});
    } else {
      burst.push_back({build(udp_spec(client, "10.0.0.100:53", "query")), 0, 0});
    }
  }
  const auto outcomes = rig_.deliver(0, burst);
  for (unsigned i = 0; i < 32; ++i) {
    EXPECT_EQ(outcomes[i].verdict, i % 5 == 4 ? Verdict::not_ip : Verdict::to_backend);
    if (i % 5 == 4) {
      EXPECT_EQ(outcomes[i].worker, 0u) << "what has no ports stays where it came";
    }
  }
  EXPECT_TRUE(rig_.conserves());
}

INSTANTIATE_TEST_SUITE_P(Workers, Ownership, ::testing::Values(1u, 2u, 4u),
                         [](const auto& workers) { return std::to_string(workers.param); });

}  // namespace
}  // namespace sluice::test

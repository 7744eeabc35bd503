// Snapshot swaps in the pipeline: one burst is decided by one snapshot, known flows stay where they
// are, and counters count on across swaps.
#include <gtest/gtest.h>

#include <random>

#include "tests/dataplane/base/test_seed.h"
#include "tests/dataplane/pipeline_rig.h"
#include "tests/dataplane/snapshot_builder.h"

namespace sluice::test {
namespace {

/// Blue (refs 0) and green (ref 1) behind one TCP listener; a backend's last byte tells its pool.
SnapshotBuilder blue_green() {
  SnapshotBuilder net;
  const uint32_t blue =
      net.add_pool("blue", {net.add_backend("10.0.1.11:8080"), net.add_backend("10.0.1.12:8080")});
  const uint32_t green =
      net.add_pool("green", {net.add_backend("10.0.1.21:8080"), net.add_backend("10.0.1.22:8080")});
  net.add_listener(protocol_tcp, "10.0.0.100:80", {{blue, 100}, {green, 0}});
  return net;
}

Bytes syn(unsigned flow) {
  PacketSpec spec = tcp_spec("192.0.2.7:1", "10.0.0.100:80", wire::tcp_syn);
  spec.source.address.bytes[2] = static_cast<uint8_t>(flow >> 14);
  spec.source.port = static_cast<uint16_t>(1024 + (flow & 0x3fff));
  return build(spec);
}

bool is_green(const Outcome& outcome) { return outcome.bytes[14 + 19] >= 20; }

TEST(Swap, OneBurstIsDecidedByOneSnapshot) {
  SnapshotBuilder net = blue_green();
  PipelineRig rig(net.finish(), {.flows_max = 1u << 16});
  std::mt19937_64 random(test_seed());
  bool green = false;
  unsigned flow = 0;
  for (unsigned round = 0; round < 500; ++round) {
    if (random() % 3 == 0) {
      green = !green;
      net.set_weights(0, {{0, green ? 0u : 100u}, {1, green ? 100u : 0u}});
      rig.publish(net.finish());
    }
    std::vector<Arrival> burst;
    for (unsigned i = 0; i < 1 + random() % 32; ++i) burst.push_back({syn(flow++), 0, 0});
    for (const Outcome& outcome : rig.deliver(0, burst)) {
      ASSERT_EQ(outcome.verdict, Verdict::to_backend);
      ASSERT_EQ(is_green(outcome), green);
    }
    const auto& ref = rig.counters().refs[green ? 1 : 0];
    EXPECT_EQ(ref.last_decision_revision.get(), net.snapshot.revision - 1);
    EXPECT_EQ(ref.last_decision_ns.get(), rig.now_ns());
    EXPECT_EQ(rig.burst().revision, net.snapshot.revision - 1);
  }
  EXPECT_EQ(rig.counters().refs[0].decisions.get() + rig.counters().refs[1].decisions.get(), flow)
      << "counters survive swaps";
  EXPECT_TRUE(rig.conserves());
}

TEST(Swap, KnownFlowsStayAndRetransmittedSynsToo) {
  constexpr unsigned flows = 2000;
  SnapshotBuilder net = blue_green();
  PipelineRig rig(net.finish(), {.flows_max = 4096});
  std::vector<Bytes> before;
  for (unsigned flow = 0; flow < flows; ++flow) before.push_back(rig.deliver_one(syn(flow)).bytes);
  net.set_weights(0, {{0, 0}, {1, 100}});
  rig.publish(net.finish());
  for (unsigned flow = 0; flow < flows; ++flow) {
    ASSERT_EQ(rig.deliver_one(syn(flow)).bytes, before[flow]);
  }
  EXPECT_TRUE(is_green(rig.deliver_one(syn(flows))));
  EXPECT_EQ(rig.counters().refs[0].decisions.get(), flows);
  EXPECT_EQ(rig.counters().refs[1].decisions.get(), 1u);
}

TEST(Swap, SharesAreExactAndRampsMonotone) {
  constexpr unsigned flows = 20'000;
  SnapshotBuilder net = blue_green();
  net.set_weights(0, {{0, 95}, {1, 5}});
  const auto at_5 = net.finish();
  net.set_weights(0, {{0, 90}, {1, 10}});
  const auto at_10 = net.finish();
  PipelineRig five(at_5, {.flows_max = 1u << 15}), ten(at_10, {.flows_max = 1u << 15});
  unsigned green_at_5 = 0, green_at_10 = 0;
  for (unsigned flow = 0; flow < flows; ++flow) {
    const bool in_5 = is_green(five.deliver_one(syn(flow)));
    const bool in_10 = is_green(ten.deliver_one(syn(flow)));
    green_at_5 += in_5;
    green_at_10 += in_10;
    ASSERT_TRUE(in_10 || !in_5) << "raising a weight moves nobody back";
  }
  // 4 sigma of a binomial: 0.62 points at 5 %, 0.85 at 10 %.
  EXPECT_NEAR(green_at_5, flows * 0.05, flows * 0.0062);
  EXPECT_NEAR(green_at_10, flows * 0.10, flows * 0.0085);
}

TEST(Swap, ShorterTimeoutsHoldForFlowsThatAreThere) {
  SnapshotBuilder net = blue_green();
  PipelineRig rig(net.finish());
  rig.deliver_one(syn(1));
  net.snapshot.timeouts.tcp_syn = 10;  // 1 s
  rig.publish(net.finish());
  rig.upkeep();
  rig.pass_time_ms(1'200);
  rig.upkeep();
  EXPECT_EQ(rig.state().connections_v4.size(), 0u);
}

}  // namespace
}  // namespace sluice::test

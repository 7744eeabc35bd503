// Engine with real workers on ring ports: forwarding, acknowledgements, swaps under load, sleep,
// held workers, the slow path, listings, and what happens when rings are full.
#include "dataplane/engine.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <rte_launch.h>

#include <chrono>
#include <set>
#include <thread>

#include "dataplane/base/clock.h"
#include "tests/dataplane/engine_rig.h"

namespace sluice::test {
namespace {

using dataplane::FlowPage;
using dataplane::FlowQuery;
using dataplane::Idle;

PacketSpec query(unsigned flow) {
  PacketSpec spec = udp_spec("192.0.2.7:1", "10.0.0.100:53", "query");
  spec.source.port = static_cast<uint16_t>(1024 + flow);
  spec.source_mac = client_mac;
  spec.destination_mac = front_mac;
  return spec;
}

/// The answer of a backend to a frame that was sent to it.
Bytes echo(const Bytes& sent) {
  Bytes reply = sent;
  const auto swap_bytes = [&](size_t a, size_t b, size_t count) {
    std::swap_ranges(reply.begin() + static_cast<long>(a),
                     reply.begin() + static_cast<long>(a + count),
                     reply.begin() + static_cast<long>(b));
  };
  swap_bytes(0, 6, 6);    // MACs
  swap_bytes(26, 30, 4);  // addresses: checksums stay right
  swap_bytes(34, 36, 2);  // ports
  reply[22] = 64;         // TTL
  set16(reply, 24, 0);
  set16(reply, 24, static_cast<uint16_t>(~naive_sum(std::span(reply).subspan(14, 20))));
  return reply;
}

class EngineWorkers : public ::testing::TestWithParam<unsigned> {};

TEST_P(EngineWorkers, ForwardBothWaysAndCountEveryPacketOnce) {
  constexpr unsigned flows = 200;
  EngineRig rig({.workers = GetParam()});
  for (unsigned flow = 0; flow < flows; ++flow) {
    ASSERT_TRUE(rig.send("front", flow % GetParam(), build(query(flow))));
  }
  ASSERT_TRUE(eventually([&] { return rig.waiting("back") == flows; })) << rig.waiting("back");
  unsigned queue = 0;
  for (const Bytes& frame : rig.take("back")) {
    EXPECT_EQ(wrong_checksums(frame), "");
    ASSERT_TRUE(rig.send("back", queue++ % GetParam(), echo(frame)));
  }
  ASSERT_TRUE(eventually([&] { return rig.waiting("front") == flows; })) << rig.waiting("front");
  std::set<uint16_t> clients;
  for (const Bytes& frame : rig.take("front")) {
    EXPECT_EQ(wrong_checksums(frame), "");
    EXPECT_EQ(get16(frame, 34), 53);
    clients.insert(get16(frame, 36));
  }
  EXPECT_EQ(clients.size(), flows) << "every client got its own answer";
  EXPECT_TRUE(eventually([&] { return rig.decided() == 2 * flows; }));
  EXPECT_EQ(rig.received(), 2 * flows);
  EXPECT_EQ(rig.verdicts(Verdict::to_backend), flows);
  EXPECT_EQ(rig.verdicts(Verdict::to_client), flows);
  const uint64_t out = rig.sum([](const auto& c) { return c.handoff_out.get(); });
  EXPECT_EQ(out, rig.sum([](const auto& c) { return c.handoff_in.get(); }));
  EXPECT_EQ(out != 0, GetParam() > 1) << "frames came by any queue";
  EXPECT_TRUE(
      eventually([&] { return rig.sum([](const auto& c) { return c.flows_v4.get(); }) == flows; }));
}

TEST_P(EngineWorkers, PortWithOneQueueIsSentOnByItsOwner) {
  constexpr unsigned flows = 100;
  EngineRig::Options options{.workers = GetParam()};
  options.ports = {{"front", "ring:front", 1}, {"back", "ring:back", 1}};
  EngineRig rig(options);
  for (unsigned flow = 0; flow < flows; ++flow) {
    ASSERT_TRUE(rig.send("front", 0, build(query(flow))));
  }
  ASSERT_TRUE(eventually([&] { return rig.waiting("back") == flows; })) << rig.waiting("back");
  EXPECT_TRUE(eventually([&] { return rig.decided() == flows; }));
  EXPECT_EQ(rig.verdicts(Verdict::to_backend), flows);
  EXPECT_EQ(rig.received(), flows);
  const uint64_t sent_by_others = rig.sum([](const auto& c) { return c.tx_handoff_out.get(); });
  EXPECT_EQ(sent_by_others != 0, GetParam() > 1);
}

TEST_P(EngineWorkers, EveryWorkerAcknowledges) {
  SnapshotBuilder net = plain_net();
  EngineRig rig({.workers = GetParam(), .snapshot = net.finish()});
  ASSERT_TRUE(eventually([&] { return rig.all_acknowledged(1); }));
  net.snapshot.generation = 7;
  const uint64_t before_ns = monotonic_ns_now();
  rig.engine().publish(net.finish());
  ASSERT_TRUE(eventually([&] { return rig.all_acknowledged(2); }));
  for (unsigned worker = 0; worker < GetParam(); ++worker) {
    const auto ack = rig.engine().acknowledgement(worker);
    EXPECT_EQ(ack.revision, 2u);
    EXPECT_EQ(ack.generation, 7u);
    EXPECT_GE(ack.at_ns, before_ns);
    EXPECT_LE(ack.at_ns, monotonic_ns_now());
  }
  EXPECT_TRUE(eventually([&] { return rig.engine().reclaim() == 0; }));
}

INSTANTIATE_TEST_SUITE_P(Workers, EngineWorkers, ::testing::Values(1u, 2u, 4u),
                         [](const auto& workers) { return std::to_string(workers.param); });

// 1,000 swaps paced at 1 ms under load: every frame comes out, and old snapshots are freed.
TEST(Engine, ThousandSwapsUnderLoadLoseNothing) {
  constexpr unsigned swaps = 1000;
  constexpr unsigned window = 256;  // frames on their way
  SnapshotBuilder net = plain_net();
  EngineRig rig({.workers = 2, .snapshot = net.finish()});
  std::vector<std::shared_ptr<const model::Snapshot>> snapshots;
  std::vector<std::weak_ptr<const model::Snapshot>> watched;
  for (unsigned i = 0; i < swaps; ++i) {
    snapshots.push_back(net.finish());
    watched.push_back(snapshots.back());
  }
  uint64_t sent = 0, taken = 0;
  unsigned published = 0;
  auto next = std::chrono::steady_clock::now();
  while (published < swaps) {
    if (std::chrono::steady_clock::now() >= next) {
      rig.engine().publish(std::move(snapshots[published++]));
      next += std::chrono::milliseconds(1);
    }
    while (sent - taken < window) {
      ASSERT_TRUE(rig.send("front", sent % 2, build(query(sent % 500))));
      ++sent;
    }
    taken += rig.take("back").size();
    rig.engine().reclaim();
  }
  ASSERT_TRUE(eventually([&] {
    taken += rig.take("back").size();
    return taken == sent;
  })) << sent - taken
      << " lost";
  EXPECT_TRUE(eventually([&] { return rig.decided() == sent; }));
  EXPECT_EQ(rig.verdicts(Verdict::to_backend), sent);
  EXPECT_TRUE(eventually([&] { return rig.all_acknowledged(swaps + 1); }));
  EXPECT_TRUE(eventually([&] { return rig.engine().reclaim() == 0; }));
  unsigned alive = 0;
  for (const auto& snapshot : watched) alive += !snapshot.expired();
  EXPECT_EQ(alive, 1u) << "only the one that is served";
  std::printf("%lu frames in %u swaps\n", sent, swaps);
}

TEST(Engine, AdaptiveWorkersSleepAndWake) {
  SnapshotBuilder net = plain_net();
  EngineRig rig({.workers = 2, .idle = Idle::adaptive, .snapshot = net.finish()});
  const auto sleeps = [&] { return rig.sum([](const auto& c) { return c.sleeps.get(); }); };
  ASSERT_TRUE(eventually([&] { return sleeps() > 10; }));
  const uint64_t cpu_before = process_cpu_ns();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const double share = static_cast<double>(process_cpu_ns() - cpu_before) / 500e6;
  EXPECT_LT(share, 0.25) << "of one core, for two workers that nap because rings have no fd";
  for (unsigned round = 0; round < 20; ++round) {
    ASSERT_TRUE(rig.send("front", round % 2, build(query(round))));
    ASSERT_TRUE(eventually([&] { return rig.waiting("back") == 1; }, 500));
    rig.take("back");
    rig.engine().publish(net.finish());
    ASSERT_TRUE(eventually([&] { return rig.all_acknowledged(2 + round); }, 500));
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // asleep again
  }
  EXPECT_TRUE(eventually([&] { return rig.engine().reclaim() == 0; }))
      << "a sleeping worker holds no snapshot";
}

TEST(Engine, HeldWorkerIsNotAcknowledgedAndKeepsItsSnapshot) {
  SnapshotBuilder net = plain_net();
  EngineRig rig({.workers = 2, .snapshot = net.finish()});
  ASSERT_TRUE(eventually([&] { return rig.all_acknowledged(1); }));
  {
    const HeldWorker held(0);
    rig.engine().publish(net.finish());
    ASSERT_TRUE(eventually([&] { return rig.engine().acknowledgement(1).revision == 2; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_EQ(rig.engine().acknowledgement(0).revision, 1u);
    EXPECT_EQ(rig.engine().reclaim(), 1u);
  }
  EXPECT_TRUE(eventually([&] { return rig.all_acknowledged(2); }));
  EXPECT_TRUE(eventually([&] { return rig.engine().reclaim() == 0; }));
}

TEST(Engine, PuntedFramesReachCtrlAndInjectedOnesTheWire) {
  EngineRig rig({.workers = 2, .idle = Idle::adaptive});
  while (!rig.engine().arm_punt_fd()) {
  }
  Bytes arp(60, 0);
  std::fill_n(arp.begin(), 6, 0xff);
  set16(arp, 12, 0x0806);
  arp[40] = 0x42;
  ASSERT_TRUE(rig.send("back", 1, arp));
  pollfd readable{rig.engine().punt_fd(), POLLIN, 0};
  ASSERT_EQ(poll(&readable, 1, 2000), 1) << "ctrl sleeps on this";
  dataplane::PuntFrame punted;
  ASSERT_TRUE(rig.engine().punt_pop(punted));
  EXPECT_EQ(punted.port, 1);
  EXPECT_EQ(Bytes(punted.bytes.begin(), punted.bytes.end()), arp);
  rig.engine().punt_release(punted);
  EXPECT_FALSE(rig.engine().punt_pop(punted));
  // Counted after the burst, a moment later.
  EXPECT_TRUE(eventually([&] { return rig.verdicts(Verdict::not_ip) == 1; }));
  EXPECT_TRUE(rig.engine().arm_punt_fd());
  EXPECT_EQ(poll(&readable, 1, 0), 0) << "arming takes the old wake-up away";

  ASSERT_TRUE(rig.engine().inject(0, arp));
  ASSERT_TRUE(eventually([&] { return rig.waiting("front") == 1; }));
  EXPECT_EQ(rig.take("front").front(), arp);
  EXPECT_TRUE(
      eventually([&] { return rig.sum([](const auto& c) { return c.injected.get(); }) == 1; }));
  EXPECT_FALSE(rig.engine().inject(31, arp)) << "no such port";
}

/// All flows, page by page.
std::vector<dataplane::FlowInfo> list(EngineRig& rig, FlowQuery query) {
  std::vector<dataplane::FlowInfo> flows;
  do {
    bool answered = false;
    rig.engine().list_flows(query, [&](FlowPage page) {
      answered = true;
      EXPECT_LE(page.flows.size(), query.limit);
      flows.insert(flows.end(), page.flows.begin(), page.flows.end());
      query.cursor = page.next;
    });
    EXPECT_TRUE(eventually([&] {
      rig.engine().poll_replies();
      return answered;
    }));
    if (!answered) break;
  } while (query.cursor != 0);
  return flows;
}

TEST(Engine, ListsEveryFlowOnce) {
  constexpr unsigned count = 60;
  EngineRig rig({.workers = 2, .idle = Idle::adaptive});
  for (unsigned flow = 0; flow < count; ++flow) rig.send("front", 0, build(query(flow)));
  PacketSpec six = udp_spec("[2001:db8::7]:4000", "[fd00:1::100]:53", "query");
  rig.send("front", 0, build(six));
  ASSERT_TRUE(eventually([&] { return rig.waiting("back") == count + 1; }));
  const auto flows = list(rig, {.limit = 7});
  ASSERT_EQ(flows.size(), count + 1);
  std::set<Endpoint> clients;
  std::set<uint16_t> workers;
  for (const auto& flow : flows) {
    clients.insert(flow.client);
    workers.insert(flow.worker);
    EXPECT_EQ(flow.protocol, protocol_udp);
    EXPECT_EQ(flow.state, flow::FlowState::udp_new);
    EXPECT_EQ(flow.revision, 1u);
    EXPECT_EQ(flow.backend.port, 8080);
    EXPECT_EQ(flow.virtual_address.port, 53);
    EXPECT_LT(flow.idle_ms, 60'000u);
  }
  EXPECT_EQ(clients.size(), count + 1);
  EXPECT_EQ(workers.size(), 2u);
  EXPECT_EQ(list(rig, {.limit = 100, .ref = 3}).size(), 1u) << "the IPv6 listener's";
  EXPECT_EQ(list(rig, {.limit = 100, .ref = 99}).size(), 0u);
  const size_t of_first = list(rig, {.limit = 100, .backend = 0}).size();
  const size_t of_second = list(rig, {.limit = 100, .backend = 1}).size();
  EXPECT_EQ(of_first + of_second, count);
  EXPECT_EQ(list(rig, {.cursor = uint64_t{9} << 32, .limit = 10}).size(), 0u) << "no such worker";
}

TEST(Engine, FullRingsAreVerdictsAndNothingIsLostUncounted) {
  EngineRig rig({.workers = 2});
  ASSERT_TRUE(eventually([&] { return rig.all_acknowledged(1); }));
  uint64_t sent = 0;
  // One frame after the other until a ring overflows.
  const auto flood = [&](const Bytes& frame, Verdict until) {
    for (unsigned i = 0; i < 50'000 && rig.verdicts(until) == 0; ++i) {
      ASSERT_TRUE(eventually([&] { return rig.send("front", 0, frame); }));
      ++sent;
    }
    EXPECT_GT(rig.verdicts(until), 0u) << verdict_name(until);
  };
  flood(build(query(1)), Verdict::tx_full);  // nobody takes them at the back
  rig.take("back");
  Bytes arp(60, 0);
  set16(arp, 12, 0x0806);
  flood(arp, Verdict::punt_full);  // ctrl takes none
  {
    // A flow whose frames worker 0 hands over.
    unsigned flow = 0;
    const auto handed = [&] { return rig.sum([](const auto& c) { return c.handoff_in.get(); }); };
    for (const uint64_t before = handed(); handed() == before; ++sent) {
      rig.send("front", 0, build(query(++flow)));
      eventually([&] { return rig.decided() == sent + 1; });
    }
    const HeldWorker held(1);
    flood(build(query(flow)), Verdict::handoff_full);
  }
  EXPECT_TRUE(eventually([&] {
    rig.take("back");
    return rig.decided() == sent;
  }));
  EXPECT_EQ(rig.received(), sent);
}

TEST(Engine, TooManyFlowsForTheMemoryIsAClearSentence) {
  const auto ports = nic::PortSet::open({{"front", "ring:front", 0}}, 1);
  ASSERT_TRUE(ports.has_value());
  dataplane::EngineOptions options;
  options.worker_lcores = {1};
  options.flows_max = 1u << 28;
  const auto engine = dataplane::Engine::create(options, **ports);
  ASSERT_FALSE(engine.has_value());
  EXPECT_NE(engine.error().message.find("max_flows = 268435456 takes"), std::string::npos);
  EXPECT_NE(engine.error().message.find("raise memory_mb or lower max_flows"), std::string::npos);
}

TEST(Engine, StopDoesNotWaitForAHungWorker) {
  auto rig = std::make_unique<EngineRig>(EngineRig::Options{.workers = 2});
  ASSERT_TRUE(eventually([&] { return rig->all_acknowledged(1); }));
  const auto began = std::chrono::steady_clock::now();
  {
    const HeldWorker held(1);
    rig->engine().stop();
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(1500));
  }
  rte_eal_wait_lcore(2);  // it finds everything that it reads still in place, and ends
}

}  // namespace
}  // namespace sluice::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  sluice::test::use_engine_eal();
  return RUN_ALL_TESTS();
}

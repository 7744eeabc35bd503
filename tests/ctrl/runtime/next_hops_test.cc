#include "ctrl/runtime/next_hops.h"

#include <gtest/gtest.h>
#include <net/if.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "tests/ctrl/runtime/net_namespace.h"
#include "tests/ctrl/runtime/run_until.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;
using test::run_for;
using test::run_until;
using test::sh;

IpAddress ip(const char* text) { return *parse_ip(text); }

// Two veth pairs to a peer: front (port 0) 10.9.1.1/24 and fd09:1::1/64, back (port 1)
// 10.9.2.1/24; the peer has .2 in each.
class NextHopsTest : public test::NetNamespaceTest {
 protected:
  void SetUp() override {
    NetNamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    peer_ = std::make_unique<test::PeerNamespace>();
    peer_->connect("front", "peer-front");
    peer_->connect("back", "peer-back");
    peer_->run("ip link set peer-front address 02:00:00:00:01:02");
    peer_->run("ip link set peer-back address 02:00:00:00:02:02");
    sh("ip address add 10.9.1.1/24 dev front");
    sh("ip address add fd09:1::1/64 dev front nodad");
    sh("ip address add 10.9.2.1/24 dev back");
    peer_->run("ip address add 10.9.1.2/24 dev peer-front");
    peer_->run("ip address add fd09:1::2/64 dev peer-front nodad");
    peer_->run("ip address add 10.9.2.2/24 dev peer-back");
    loop_ = std::move(*EventLoop::create());
    auto tracker = NextHopTracker::create(
        *loop_, {{index_of("front"), uint8_t{0}}, {index_of("back"), uint8_t{1}}},
        [this] { ++changes_; });
    ASSERT_TRUE(tracker) << tracker.error().message;
    tracker_ = std::move(*tracker);
  }
  void TearDown() override {
    tracker_.reset();
    loop_.reset();
    peer_.reset();
  }

  static int index_of(const char* name) { return static_cast<int>(::if_nametoindex(name)); }
  model::NextHop hop(const char* address) const { return tracker_->next_hops().at(ip(address)); }
  bool resolved(const char* address) const { return hop(address).resolved; }
  /// "02:00:00:00:01:02 port 0", or "unresolved".
  std::string how(const char* address) const {
    const model::NextHop next_hop = hop(address);
    if (!next_hop.resolved) return "unresolved";
    return to_string(next_hop.destination) + " port " + std::to_string(next_hop.port);
  }

  std::unique_ptr<test::PeerNamespace> peer_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<NextHopTracker> tracker_;
  int changes_ = 0;
};

constexpr const char* front_hop = "02:00:00:00:01:02 port 0";
constexpr const char* back_hop = "02:00:00:00:02:02 port 1";

TEST_F(NextHopsTest, ResolvesDirectNeighboursBeforeAnyTraffic) {
  tracker_->set_addresses({ip("10.9.1.2"), ip("fd09:1::2"), ip("10.9.2.2")});
  ASSERT_EQ(tracker_->next_hops().size(), 3u);
  EXPECT_EQ(hop("10.9.2.2").port, 1) << "the port is known at once";
  ASSERT_TRUE(run_until(*loop_, [&] {
    return resolved("10.9.1.2") && resolved("fd09:1::2") && resolved("10.9.2.2");
  }));
  EXPECT_EQ(how("10.9.1.2"), front_hop);
  EXPECT_EQ(how("fd09:1::2"), front_hop);
  EXPECT_EQ(how("10.9.2.2"), back_hop);
  EXPECT_EQ(tracker_->describe(ip("10.9.1.2")), "direct on front");
  EXPECT_GE(changes_, 1);
}

TEST_F(NextHopsTest, WhatTheKernelKnowsIsThereOnReturn) {
  sh("ip neigh replace 10.9.1.2 lladdr 02:00:00:00:01:02 dev front nud permanent");
  run_for(*loop_, 10ms);
  tracker_->set_addresses({ip("10.9.1.2")});
  EXPECT_EQ(how("10.9.1.2"), front_hop);
  run_for(*loop_, 30ms);
  EXPECT_EQ(changes_, 0) << "the caller has seen it already";
}

TEST_F(NextHopsTest, LeavesStaticNeighboursAlone) {
  sh("ip neigh replace 10.9.1.2 lladdr 02:00:00:00:77:77 dev front nud permanent");
  run_for(*loop_, 10ms);
  tracker_->set_addresses({ip("10.9.1.2")});
  run_for(*loop_, 6'000ms);  // longer than neighbours are left unasked
  EXPECT_NE(sh("ip neigh show 10.9.1.2").find("PERMANENT"), std::string::npos);
  EXPECT_EQ(how("10.9.1.2"), "02:00:00:00:77:77 port 0");
}

TEST_F(NextHopsTest, FollowsRoutesThroughGateways) {
  sh("ip route add 10.50.0.0/16 via 10.9.1.2");
  sh("ip route add fd50::/16 via fd09:1::2");
  tracker_->set_addresses({ip("10.50.0.5"), ip("fd50::5")});
  ASSERT_TRUE(run_until(*loop_, [&] { return resolved("10.50.0.5") && resolved("fd50::5"); }));
  EXPECT_EQ(how("10.50.0.5"), front_hop);
  EXPECT_EQ(how("fd50::5"), front_hop);
  EXPECT_EQ(tracker_->describe(ip("10.50.0.5")), "via 10.9.1.2 on front");

  sh("ip route replace 10.50.0.0/16 via 10.9.2.2");
  ASSERT_TRUE(run_until(*loop_, [&] { return how("10.50.0.5") == back_hop; }));
  // A more specific route takes it back, and leaves it again.
  sh("ip route add 10.50.0.5/32 via 10.9.1.2");
  ASSERT_TRUE(run_until(*loop_, [&] { return how("10.50.0.5") == front_hop; }));
  sh("ip route del 10.50.0.5/32");
  ASSERT_TRUE(run_until(*loop_, [&] { return how("10.50.0.5") == back_hop; }));
  sh("ip route del 10.50.0.0/16");
  ASSERT_TRUE(run_until(*loop_, [&] { return !resolved("10.50.0.5"); }));
  EXPECT_EQ(tracker_->describe(ip("10.50.0.5")), "no route (Network is unreachable)");
}

TEST_F(NextHopsTest, FollowsIpv4RoutesOverIpv6Gateways) {
  sh("ip route add 10.51.0.0/16 via inet6 fd09:1::2 dev front");
  tracker_->set_addresses({ip("10.51.0.1")});
  ASSERT_TRUE(run_until(*loop_, [&] { return how("10.51.0.1") == front_hop; }));
}

TEST_F(NextHopsTest, FollowsRulesAndNextHopObjects) {
  tracker_->set_addresses({ip("10.52.0.1")});
  sh("ip route add 10.52.0.0/16 via 10.9.1.2 table 77");
  sh("ip rule add to 10.52.0.0/16 lookup 77");
  ASSERT_TRUE(run_until(*loop_, [&] { return how("10.52.0.1") == front_hop; }));
  sh("ip nexthop add id 9 via 10.9.1.2 dev front");
  sh("ip route replace 10.52.0.0/16 nhid 9 table 77");
  run_for(*loop_, 20ms);
  sh("ip nexthop replace id 9 via 10.9.2.2 dev back");
  ASSERT_TRUE(run_until(*loop_, [&] { return how("10.52.0.1") == back_hop; }));
}

TEST_F(NextHopsTest, SaysWhyAnAddressIsNotReachable) {
  sh("ip link add elsewhere type veth peer name nowhere");
  sh("ip address add 10.9.8.1/24 dev elsewhere");
  sh("ip link set elsewhere up");
  sh("ip link set nowhere up");
  sh("ip route add blackhole 10.60.0.0/16");
  sh("ip route add unreachable fd60::/16");
  tracker_->set_addresses({ip("10.9.8.2"), ip("10.9.1.1"), ip("10.60.0.1"), ip("fd60::1"),
                           ip("192.0.2.1"), ip("10.9.1.77")});
  run_for(*loop_, 50ms);
  for (const auto& [address, next_hop] : tracker_->next_hops()) {
    EXPECT_FALSE(next_hop.resolved) << to_string(address);
  }
  EXPECT_EQ(tracker_->describe(ip("10.9.8.2")), "route leaves by elsewhere, which is not a port");
  EXPECT_EQ(tracker_->describe(ip("10.9.1.1")), "the address is this node's own");
  EXPECT_TRUE(tracker_->describe(ip("10.60.0.1")).starts_with("no route ("));
  EXPECT_NE(tracker_->describe(ip("fd60::1")).find("route"), std::string::npos);
  EXPECT_EQ(tracker_->describe(ip("192.0.2.1")), "no route (Network is unreachable)");
  EXPECT_EQ(tracker_->describe(ip("10.9.1.77")), "10.9.1.77 on front does not answer");
  EXPECT_EQ(tracker_->describe(ip("1.2.3.4")), "not followed");
}

TEST_F(NextHopsTest, KeepsAskingUntilTheNeighbourAppears) {
  tracker_->set_addresses({ip("10.9.1.30"), ip("fd09:1::30")});
  // Beyond the kernel's own three attempts.
  run_for(*loop_, 4'500ms);
  EXPECT_FALSE(resolved("10.9.1.30"));
  EXPECT_FALSE(resolved("fd09:1::30"));
  peer_->run("ip address add 10.9.1.30/24 dev peer-front");
  peer_->run("ip address add fd09:1::30/64 dev peer-front nodad");
  ASSERT_TRUE(
      run_until(*loop_, [&] { return resolved("10.9.1.30") && resolved("fd09:1::30"); }, 12s));
  EXPECT_EQ(how("10.9.1.30"), front_hop);
}

TEST_F(NextHopsTest, NoticesAnAnnouncedMacChange) {
  tracker_->set_addresses({ip("10.9.1.2")});
  ASSERT_TRUE(run_until(*loop_, [&] { return how("10.9.1.2") == front_hop; }));
  // An answer within a second of the last is taken for a duplicate (locktime).
  run_for(*loop_, 1'200ms);
  peer_->set_sysctl("ipv4/conf/peer-front/arp_notify", "1");
  peer_->run("ip link set peer-front address 02:00:00:00:01:aa");
  ASSERT_TRUE(run_until(*loop_, [&] { return how("10.9.1.2") == "02:00:00:00:01:aa port 0"; }, 2s));
}

TEST_F(NextHopsTest, NoticesASilentMacChange) {
  // Shorter than the kernel's defaults, so that the test is too. Traffic confirms nothing here.
  for (const char* family : {"ipv4", "ipv6"}) {
    const std::string directory = std::string(family) + "/neigh/front/";
    test::set_sysctl(directory + "base_reachable_time_ms", "1000");
    test::set_sysctl(directory + "delay_first_probe_time", "1");
  }
  tracker_->set_addresses({ip("10.9.1.2"), ip("fd09:1::2")});
  ASSERT_TRUE(run_until(*loop_, [&] { return resolved("10.9.1.2") && resolved("fd09:1::2"); }));
  // By now the entries are stale, and nobody but us has a reason to use them.
  run_for(*loop_, 4'000ms);
  peer_->run("ip link set peer-front address 02:00:00:00:01:bb");
  const auto noticed = [&] {
    return how("10.9.1.2") == "02:00:00:00:01:bb port 0" &&
           how("fd09:1::2") == "02:00:00:00:01:bb port 0";
  };
  EXPECT_TRUE(run_until(*loop_, noticed, 20s)) << how("10.9.1.2") << ", " << how("fd09:1::2");
}

TEST_F(NextHopsTest, AsksAgainWhenTheEntryIsDeleted) {
  tracker_->set_addresses({ip("10.9.1.2")});
  ASSERT_TRUE(run_until(*loop_, [&] { return resolved("10.9.1.2"); }));
  sh("ip neigh del 10.9.1.2 dev front");
  run_for(*loop_, 100ms);
  ASSERT_TRUE(run_until(*loop_, [&] { return resolved("10.9.1.2"); }, 2s));
}

TEST_F(NextHopsTest, DeadNeighbourIsUnresolvedUntilItIsBack) {
  for (const char* key : {"base_reachable_time_ms", "delay_first_probe_time"}) {
    test::set_sysctl(std::string("ipv4/neigh/front/") + key, key[0] == 'b' ? "1000" : "1");
  }
  tracker_->set_addresses({ip("10.9.1.2")});
  ASSERT_TRUE(run_until(*loop_, [&] { return resolved("10.9.1.2"); }));
  peer_->run("ip address del 10.9.1.2/24 dev peer-front");
  EXPECT_TRUE(run_until(*loop_, [&] { return !resolved("10.9.1.2"); }, 20s));
  EXPECT_EQ(tracker_->describe(ip("10.9.1.2")), "10.9.1.2 on front does not answer");
  peer_->run("ip address add 10.9.1.2/24 dev peer-front");
  EXPECT_TRUE(run_until(*loop_, [&] { return resolved("10.9.1.2"); }, 12s));
}

TEST_F(NextHopsTest, LinkDownTakesTheRouteAlongAndUpBringsItBack) {
  tracker_->set_addresses({ip("10.9.1.2")});
  ASSERT_TRUE(run_until(*loop_, [&] { return resolved("10.9.1.2"); }));
  sh("ip link set front down");
  ASSERT_TRUE(run_until(*loop_, [&] { return !resolved("10.9.1.2"); }, 2s));
  sh("ip link set front up");
  ASSERT_TRUE(run_until(*loop_, [&] { return resolved("10.9.1.2"); }));
}

TEST_F(NextHopsTest, ForgetsAddressesThatAreNotAskedFor) {
  tracker_->set_addresses({ip("10.9.1.2"), ip("10.9.2.2")});
  ASSERT_TRUE(run_until(*loop_, [&] { return resolved("10.9.1.2") && resolved("10.9.2.2"); }));
  tracker_->set_addresses({ip("10.9.2.2")});
  ASSERT_EQ(tracker_->next_hops().size(), 1u);
  EXPECT_EQ(how("10.9.2.2"), back_hop) << "what stays keeps its state";
  const int before = changes_;
  sh("ip neigh replace 10.9.1.2 lladdr 02:00:00:00:00:11 dev front nud permanent");
  run_for(*loop_, 30ms);
  EXPECT_EQ(changes_, before);
}

void change_neighbour_often(const std::string& commands, int times) {
  std::ofstream batch(commands);
  for (int i = 0; i < times; ++i) {
    batch << "neigh replace 10.9.1.2 lladdr 02:00:00:00:03:0" << i % 10
          << " dev front nud permanent\n";
  }
  batch << "neigh replace 10.9.1.2 lladdr 02:00:00:00:03:ff dev front nud permanent\n";
  batch.close();
  sh("ip -batch " + commands);
  std::remove(commands.c_str());
}

TEST_F(NextHopsTest, SurvivesLostMessages) {
  tracker_->set_addresses({ip("10.9.1.2")});
  ASSERT_TRUE(run_until(*loop_, [&] { return resolved("10.9.1.2"); }));
  // The loop does not turn meanwhile: the socket overflows and the last message is lost.
  change_neighbour_often("/tmp/sluice-next-hops-test-" + std::to_string(::getpid()), 40'000);
  const int before = changes_;
  ASSERT_TRUE(run_until(*loop_, [&] { return how("10.9.1.2") == "02:00:00:00:03:ff port 0"; }));
  EXPECT_GE(changes_ - before, 1);
}

TEST_F(NextHopsTest, ManyEventsMakeFewChanges) {
  tracker_->set_addresses({ip("10.9.1.2")});
  ASSERT_TRUE(run_until(*loop_, [&] { return resolved("10.9.1.2"); }));
  change_neighbour_often("/tmp/sluice-next-hops-test-" + std::to_string(::getpid()), 200);
  const int before = changes_;
  ASSERT_TRUE(run_until(*loop_, [&] { return how("10.9.1.2") == "02:00:00:00:03:ff port 0"; }));
  run_for(*loop_, 20ms);
  EXPECT_LE(changes_ - before, 5);
}

TEST_F(NextHopsTest, ThousandsOfAddressesBehindAGateway) {
  sh("ip route add 10.50.0.0/16 via 10.9.1.2");
  std::set<IpAddress> addresses;
  for (uint32_t i = 0; i < 5'000; ++i) {
    IpAddress address = ip("10.50.0.0");
    address.bytes[2] = static_cast<uint8_t>(i >> 8);
    address.bytes[3] = static_cast<uint8_t>(i);
    addresses.insert(address);
  }
  tracker_->set_addresses(addresses);
  const auto all = [&](const std::string& where) {
    return std::ranges::all_of(tracker_->next_hops(), [&](const auto& entry) {
      return entry.second.resolved && to_string(entry.second.destination) == where;
    });
  };
  ASSERT_TRUE(run_until(*loop_, [&] { return all("02:00:00:00:01:02"); }));
  sh("ip route replace 10.50.0.0/16 via 10.9.2.2");
  const int before = changes_;
  ASSERT_TRUE(run_until(*loop_, [&] { return all("02:00:00:00:02:02"); }, 2s));
  EXPECT_LE(changes_ - before, 3) << "one change for all of them";
}

}  // namespace
}  // namespace sluice::ctrl

#include "ctrl/config/changes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace sluice::ctrl {
namespace {

using Lines = std::vector<std::string>;

class ChangesTest : public testing::Test {
 protected:
  ChangesTest() {
    std::ostringstream text;
    text << std::ifstream(SLUICE_SOURCE_ROOT "/configs/blue-green.toml").rdbuf();
    before_ = parse_config(text.str(), "blue-green.toml").config;
    after_ = before_;
  }

  Lines changes() const { return describe_changes(before_, after_); }

  Config before_, after_;
};

TEST_F(ChangesTest, NothingDiffers) {
  ASSERT_EQ(before_.pools.size(), 2u);
  EXPECT_EQ(changes(), Lines{});
  EXPECT_EQ(restart_required(before_, after_), Lines{});
}

TEST_F(ChangesTest, Weights) {
  after_.routes[0].rules[0].backends[0].weight = 95;
  after_.routes[0].rules[0].backends[1].weight = 5;
  EXPECT_EQ(changes(), (Lines{"route orders rule 0: pool orders-blue weight 100 -> 95",
                              "route orders rule 0: pool orders-green weight 0 -> 5"}));
}

TEST_F(ChangesTest, Backends) {
  auto& backends = after_.pools[0].backends;
  backends[0].weight = 3;
  backends[0].tier = 1;
  backends[0].zone = "a";
  backends[1].address = parse_ip("10.0.1.13").value();
  backends[2].drained = true;
  EXPECT_EQ(changes(), (Lines{"pool orders-blue: backend 10.0.1.12:8080 removed",
                              "pool orders-blue: backend 10.0.1.11:8080 weight 1 -> 3",
                              "pool orders-blue: backend 10.0.1.11:8080 tier 0 -> 1",
                              "pool orders-blue: backend 10.0.1.11:8080 zone \"\" -> a",
                              "pool orders-blue: backend 10.0.1.13:8080 added",
                              "pool orders-blue: backend [fd00:2::11]:8080 drained"}));
  std::swap(before_, after_);
  EXPECT_EQ(changes().back(), "pool orders-blue: backend [fd00:2::11]:8080 no longer drained");
}

TEST_F(ChangesTest, AWholePoolDrainedIsOneLine) {
  for (BackendConfig& backend : after_.pools[1].backends) backend.drained = true;
  EXPECT_EQ(changes(), Lines{"pool orders-green drained"});
  std::swap(before_, after_);
  EXPECT_EQ(changes(), Lines{"pool orders-green no longer drained"});
}

TEST_F(ChangesTest, Pools) {
  after_.pools[0].service = "checkout";
  after_.pools[0].version = "v1.1";
  after_.pools[0].on_empty = model::OnEmpty::drop;
  after_.pools[0].health = {};
  after_.pools[1].name = "orders-teal";
  EXPECT_EQ(
      changes(),
      (Lines{"pool orders-green removed (4 backends)",
             "pool orders-blue: service orders -> checkout", "pool orders-blue: version v1 -> v1.1",
             "pool orders-blue: health tcp every 1s (timeout 500ms, rise 2, fall "
             "3) -> none",
             "pool orders-blue: on_empty reject -> drop", "pool orders-teal added (4 backends)"}));
}

TEST_F(ChangesTest, ListenersAndRoutes) {
  after_.listeners[0].port_first = 8000;
  after_.listeners[0].port_last = 8100;
  after_.listeners.pop_back();
  after_.routes[0].listeners = {"orders-4", "orders-9"};
  after_.routes[0].rules.push_back({});
  after_.routes[0].rules[0].sources = {parse_prefix("10.0.0.0/8").value()};
  after_.routes[0].rules[0].backends[1].pool = "x";
  after_.routes.push_back({.name = "new", .listeners = {}, .rules = {}});
  EXPECT_EQ(changes(), (Lines{"listener orders-udp-6 removed (udp [fd00:1::100]:8080)",
                              "listener orders-4: tcp 10.0.0.100:80 -> tcp 10.0.0.100:8000-8100",
                              "route orders: listener orders-6 removed",
                              "route orders: listener orders-udp-4 removed",
                              "route orders: listener orders-udp-6 removed",
                              "route orders: listener orders-9 added",
                              "route orders rule 0: sources [] -> "
                              "[10.0.0.0/8]",
                              "route orders rule 0: pool orders-green removed (weight 0)",
                              "route orders rule 0: pool x added (weight 0)",
                              "route orders: rule 1 added", "route new added"}));
}

TEST_F(ChangesTest, OrderMattersWhereItDecides) {
  std::ranges::reverse(after_.routes[0].rules[0].backends);
  std::ranges::reverse(after_.pools[0].backends);
  after_.routes.push_back({.name = "second", .listeners = {}, .rules = {}});
  before_.routes.push_back(after_.routes[1]);
  std::ranges::reverse(after_.routes);
  std::ranges::reverse(after_.listeners);
  EXPECT_EQ(changes(), (Lines{"route orders rule 0: pools are in another order",
                              "routes are in another order"}));
}

TEST_F(ChangesTest, SectionsThatNeedARestart) {
  after_.node.worker_cores = {1, 2};
  after_.node.idle = IdleMode::adaptive;
  after_.node.hash_key = HashKey{};
  after_.ports[0].device = "null";
  after_.ports[1].name = "rear";
  after_.control.state_dir = "/srv/sluice";
  after_.admin.listen.reset();
  EXPECT_EQ(restart_required(before_, after_), (Lines{"node", "port", "control", "admin"}));
  EXPECT_EQ(changes(), (Lines{"node: worker_cores [1] -> [1, 2]", "node: idle busy -> adaptive",
                              "node: hash_key changed", "port back removed (af_xdp:veth-back)",
                              "port front: device af_xdp:veth-front -> null",
                              "port rear added (af_xdp:veth-back)",
                              "control: state_dir /var/lib/sluice -> /srv/sluice",
                              "admin: listen 127.0.0.1:9900 -> none"}));
}

TEST_F(ChangesTest, TimeoutsChangeAtRunTime) {
  after_.timeouts.tcp_syn = 15;
  after_.timeouts.udp_established = 36'000;
  EXPECT_EQ(changes(),
            (Lines{"timeouts: tcp_syn 10s -> 1500ms", "timeouts: udp_established 3m -> 1h"}));
  EXPECT_EQ(restart_required(before_, after_), Lines{});
}

}  // namespace
}  // namespace sluice::ctrl

// Conditions of a controller's routes: what status, watch and metrics say, and since when.
#include "ctrl/control/condition_keeper.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ctrl/control/config_view.h"
#include "ctrl/control/metrics.h"
#include "ctrl/control/status_view.h"
#include "tests/ctrl/control/lab.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;

class ConditionKeeperTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(life_.error, ""); }

  Json condition(const std::string& type) {
    const Json status = status_view(*life_.controller, {});
    for (const Json& each : status["routes"][0]["conditions"]) {
      if (each["type"] == type) return each;
    }
    ADD_FAILURE() << "no condition " << type;
    return nullptr;
  }
  /// "Ready false NoUsableBackend" of the events since the last call.
  std::vector<std::string> told() {
    std::vector<std::string> lines;
    for (; seen_ < life_.seen_events.size(); seen_++) {
      const Json& event = life_.seen_events[seen_];
      if (event["type"] != "condition") continue;
      EXPECT_EQ(event["route"], "orders");
      lines.push_back(event["condition"].get<std::string>() + " " +
                      event["status"].get<std::string>() + " " +
                      event["reason"].get<std::string>());
    }
    return lines;
  }
  void health(const char* backend, bool up) {
    const BackendKey key{"orders-v1", endpoint(backend)};
    if (up) {
      life_.node.dead.erase(key);
    } else {
      life_.node.dead.insert(key);
    }
    life_.controller->node_changed();
  }

  TemporaryDirectory directory_;
  Life life_{directory_.path(), checked_toml()};
  size_t seen_ = 0;

 private:
  static std::string checked_toml() {
    std::string text = orders_toml;
    const std::string version = "version = \"v1\"\n";
    text.insert(text.find(version) + version.size(), "health = { type = \"tcp\" }\n");
    return text;
  }
};

using Told = std::vector<std::string>;

TEST_F(ConditionKeeperTest, BothAreTrueAfterTheStart) {
  life_.loop.advance(300ms);
  EXPECT_EQ(told(), (Told{"Programmed true WorkersAcknowledged", "Ready true BackendsUsable"}));
  const Json ready = condition("Ready");
  EXPECT_EQ(ready["status"], "true");
  EXPECT_EQ(ready["observed_generation"], 1);
  EXPECT_GE(ready["since_ms"], 50);
  EXPECT_EQ(ready["since"].get<std::string>().back(), 'Z');
  // `get route` says the same.
  const auto items = config_view(*life_.controller, "route", "orders");
  ASSERT_TRUE(items);
  EXPECT_EQ((*items)["items"][0]["conditions"][1]["reason"], "BackendsUsable");
  // A new generation is observed, and nothing else changes.
  ASSERT_TRUE(life_.weight({{"orders-v1", 50}, {"orders-v2", 50}}));
  life_.loop.advance(2s);
  EXPECT_EQ(told(), Told{});
  EXPECT_EQ(condition("Ready")["observed_generation"], 2);
  EXPECT_GT(condition("Ready")["since_ms"], 2000);
}

TEST_F(ConditionKeeperTest, AHeldWorkerUnprogramsUntilItIsBack) {
  life_.loop.advance(300ms);
  told();
  life_.engine.hold(1);
  ChangeOptions options;
  options.wait_ms = 1000;
  ASSERT_TRUE(life_.switch_to("orders-v2", options));
  EXPECT_EQ(condition("Programmed")["status"], "false");
  EXPECT_EQ(condition("Programmed")["message"],
            "worker 1 serves generation 1 (revision 1), published is generation 2 (revision 2)");
  EXPECT_EQ(condition("Programmed")["observed_generation"], 2);
  EXPECT_EQ(condition("Ready")["reason"], "NotProgrammed");
  EXPECT_EQ(told(), (Told{"Programmed false WorkerNotAcknowledged", "Ready false NotProgrammed"}));
  const Json status = status_view(*life_.controller, {});
  EXPECT_EQ(status["proof"]["verdict"], "not-proved");
  EXPECT_EQ(status["proof"]["generation"], 2);
  life_.engine.release(1);
  life_.loop.advance(1100ms);
  EXPECT_EQ(told(), (Told{"Programmed true WorkersAcknowledged", "Ready true BackendsUsable"}));
  EXPECT_EQ(status_view(*life_.controller, {})["proof"]["verdict"], "proved");
}

TEST_F(ConditionKeeperTest, ReadyFollowsTheBackends) {
  life_.loop.advance(300ms);
  told();
  health("10.0.1.11:8080", false);
  life_.loop.advance(500ms);
  EXPECT_EQ(told(), Told{}) << "one is left";
  health("10.0.1.12:8080", false);
  life_.loop.advance(500ms);
  EXPECT_EQ(told(), (Told{"Ready false NoUsableBackend"}));
  EXPECT_EQ(condition("Ready")["message"],
            "pool orders-v1 (weight 100, rule 0) has no usable IPv4 backend: 2 down");
  EXPECT_EQ(condition("Programmed")["status"], "true");
  // The weight goes elsewhere: the dead pool matters no more.
  ASSERT_TRUE(life_.switch_to("orders-v2"));
  life_.loop.advance(500ms);
  EXPECT_EQ(told(), (Told{"Ready true BackendsUsable"}));
  life_.node.hops[parse_ip("10.0.2.11").value()].resolved = false;
  life_.controller->node_changed();
  life_.loop.advance(500ms);
  EXPECT_EQ(told(), (Told{"Ready false BackendsUnresolved"}));
}

TEST_F(ConditionKeeperTest, UnknownUntilACheckHasEnded) {
  HealthState untold;
  life_.node.states[{"orders-v1", endpoint("10.0.1.11:8080")}] = untold;
  life_.node.states[{"orders-v1", endpoint("10.0.1.12:8080")}] = untold;
  life_.controller->node_changed();
  life_.loop.advance(1s);
  EXPECT_EQ(condition("Ready")["status"], "unknown");
  EXPECT_EQ(condition("Ready")["reason"], "ChecksPending");
  // The first result changes no table.
  life_.node.states[{"orders-v1", endpoint("10.0.1.12:8080")}].checked = true;
  EXPECT_EQ(condition("Ready")["status"], "true");
}

TEST_F(ConditionKeeperTest, OldConnectionsAreToldAsWhatTheyAre) {
  const auto old = life_.connect(3);
  ASSERT_TRUE(life_.switch_to("orders-v2"));
  life_.connect(5);
  Json route = status_view(*life_.controller, {})["routes"][0];
  ASSERT_EQ(route["draining"].size(), 1u);
  EXPECT_EQ(route["draining"][0]["text"], "3 connections of orders-v1 were there before");
  EXPECT_EQ(route["draining"][0]["existing"], "keep");
  EXPECT_TRUE(route["draining"][0]["ends_in_ms"].is_null());
  const Json proof = life_.verify("orders");
  EXPECT_EQ(proof["verdict"], "proved") << "keep: they may go on";
  EXPECT_EQ(proof["draining"][0]["text"], "3 connections of orders-v1 were there before");
  const Json pools = route["rules"][0]["pools"];
  EXPECT_EQ(pools[0]["decisions_since_generation"], 0);
  EXPECT_EQ(pools[1]["decisions_since_generation"], 5);

  ChangeOptions options;
  options.existing = Existing::drain;
  options.drain_ms = 60'000;
  options.wait_ms = 10;
  ASSERT_TRUE(life_.switch_to("orders-v1", options));
  route = status_view(*life_.controller, {})["routes"][0];
  ASSERT_EQ(route["draining"].size(), 1u);
  EXPECT_EQ(route["draining"][0]["text"], "5 connections of orders-v2 were there before");
  EXPECT_EQ(route["draining"][0]["existing"], "drain");
  EXPECT_NEAR(route["draining"][0]["ends_in_ms"].get<double>(), 60'000, 1000);
  life_.end(old);
}

TEST_F(ConditionKeeperTest, ADrainedBackendsConnectionsAreTold) {
  life_.connect(40);
  ASSERT_TRUE(life_.drain("10.0.1.11:8080"));
  const Json route = status_view(*life_.controller, {})["routes"][0];
  ASSERT_EQ(route["draining"].size(), 1u);
  EXPECT_EQ(route["draining"][0]["backend"], "10.0.1.11:8080");
  EXPECT_GT(route["draining"][0]["active"], 0);
}

TEST_F(ConditionKeeperTest, MetricsSayTheSame) {
  health("10.0.1.11:8080", false);
  health("10.0.1.12:8080", false);
  life_.loop.advance(500ms);
  const Identity identity;
  const std::string text = Metrics({.controller = *life_.controller,
                                    .identity = identity,
                                    .slow_path = {},
                                    .control_clients = {}})
                               .text();
  const auto line = [](const char* condition, const char* status, int value) {
    return fmt::format(
        "sluice_route_condition{{route=\"orders\",condition=\"{}\",status=\"{}\"}} {}\n", condition,
        status, value);
  };
  for (const std::string& expected :
       {line("Programmed", "true", 1), line("Programmed", "false", 0), line("Ready", "true", 0),
        line("Ready", "false", 1), line("Ready", "unknown", 0)}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << text;
  }
}

TEST_F(ConditionKeeperTest, HandshakesThatABackendRefusesAreCounted) {
  const auto identity =
      life_.controller->registry().find_backend({"orders-v2", endpoint("10.0.2.11:8080")});
  ASSERT_TRUE(identity);
  life_.engine.mutable_counters(0).backends[identity->id].refused.add(7);
  life_.engine.mutable_counters(1).backends[identity->id].unanswered.add(2);
  const Json backend = status_view(*life_.controller, {})["pools"][1]["backends"][0];
  EXPECT_EQ(backend["handshakes_refused"], 7);
  EXPECT_EQ(backend["handshakes_unanswered"], 2);
}

TEST(ConditionKeeperRestart, TheProofOfTheServedGenerationIsStillShown) {
  const TemporaryDirectory directory;
  {
    Life first(directory.path());
    ASSERT_TRUE(first.switch_to("orders-v2"));
  }
  const Life next(directory.path());
  ASSERT_EQ(next.error, "");
  const Json status = status_view(*next.controller, {});
  EXPECT_EQ(status["proof"]["generation"], 2);
  EXPECT_EQ(status["proof"]["verb"], "switch");
  EXPECT_EQ(status["proof"]["verdict"], "proved");
  EXPECT_EQ(status["routes"][0]["conditions"][1]["status"], "true");
}

}  // namespace
}  // namespace sluice::ctrl

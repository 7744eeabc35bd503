// The verbs, end to end through the controller: configuration in, snapshot, disk and proof out.
#include "ctrl/control/controller.h"

#include <gtest/gtest.h>

#include "ctrl/control/proof_plan.h"
#include "tests/ctrl/control/lab.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;

Json pool_of(const Json& proof, const std::string& pool) {
  for (const Json& each : proof.at("pools")) {
    if (each.at("pool") == pool) return each;
  }
  ADD_FAILURE() << "no pool " << pool << " in " << proof.dump(2);
  return Json::object();
}

uint16_t ref_of(const Life& life, const std::string& pool) {
  return life.controller->registry().find_ref(RefKey{"orders", 0, pool}).value();
}

class ControllerTest : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  Life life_{directory_.path()};

  void SetUp() override { ASSERT_EQ(life_.error, ""); }
  Controller& controller() { return *life_.controller; }
};

TEST_F(ControllerTest, FirstStartCommitsTheFileAsGenerationOne) {
  EXPECT_EQ(controller().generation(), 1u);
  EXPECT_EQ(controller().revision(), 1u);
  const Generation first = life_.store->load(1).value();
  EXPECT_EQ(first.verb, "start");
  EXPECT_EQ(first.text, orders_toml);
  EXPECT_EQ(life_.store->load_proof(1).at("verdict"), "proved");
}

TEST_F(ControllerTest, SwitchMovesAllAndProves) {
  const auto old = life_.connect(50);
  ChangeOptions options;
  options.author = {.user = "alice", .uid = 0, .pid = 1};
  options.reason = "go";
  const auto result = life_.switch_to("orders-v2", options);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->generation, 2u);
  EXPECT_EQ(result->proof.at("verdict"), "proved") << result->proof.dump(2);
  const Json blue = pool_of(result->proof, "orders-v1");
  EXPECT_EQ(blue.at("weight"), 0);
  EXPECT_EQ(blue.at("slots"), 0);
  EXPECT_EQ(blue.at("decisions_before"), 50);
  EXPECT_EQ(blue.at("stale_decisions"), 0);
  EXPECT_EQ(blue.at("active"), 50) << "kept connections are counted and shown";
  EXPECT_EQ(pool_of(result->proof, "orders-v2").at("slots"), 65'536);
  for (const auto& connection : life_.connect(50)) {
    ASSERT_TRUE(connection);
    EXPECT_EQ(connection->decision.ref, ref_of(life_, "orders-v2"));
  }
  const Generation kept = life_.store->load(2).value();
  EXPECT_EQ(kept.author.user, "alice");
  EXPECT_EQ(kept.reason, "go");
  EXPECT_EQ(kept.verb, "switch");
  EXPECT_FALSE(kept.changes.empty());
  EXPECT_EQ(life_.store->load_proof(2).at("verdict"), "proved");
}

TEST_F(ControllerTest, WeightSplitsExactly) {
  const auto result = life_.weight({{"orders-v1", 95}, {"orders-v2", 5}});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(pool_of(result->proof, "orders-v2").at("slots"), 3277);  // 65,536 · 5 %, rounded up
  EXPECT_EQ(pool_of(result->proof, "orders-v1").at("slots"), 62'259);
  EXPECT_EQ(result->proof.at("verdict"), "proved");
}

TEST_F(ControllerTest, HeldWorkerIsNotProvedThenProvedLater) {
  life_.engine.hold(1);
  ChangeOptions options;
  options.wait_ms = 200;
  const uint64_t before_ns = life_.loop.now_ns();
  const auto result = life_.switch_to("orders-v2", options);
  ASSERT_TRUE(result);
  EXPECT_LE(life_.loop.now_ns() - before_ns, 300'000'000u) << "the answer comes within wait_ms";
  EXPECT_EQ(result->proof.at("verdict"), "not-proved");
  EXPECT_EQ(result->proof.at("reason"),
            "worker 1 has not acknowledged; it still serves generation 1");
  EXPECT_EQ(result->proof.at("workers")[0].at("acknowledged"), true);
  EXPECT_EQ(result->proof.at("workers")[1].at("acknowledged"), false);
  EXPECT_TRUE(result->proof.at("acknowledged_us").is_null());
  EXPECT_EQ(life_.store->load_proof(2).at("verdict"), "not-proved");
  EXPECT_FALSE(controller().all_acknowledged());

  life_.engine.release(1);
  life_.loop.advance(100ms);
  EXPECT_EQ(life_.store->load_proof(2).at("verdict"), "proved") << "watched on in the background";
  EXPECT_EQ(life_.verify().at("verdict"), "proved");
}

TEST_F(ControllerTest, VerifyOfHeldWorkerIsNotProved) {
  life_.engine.hold(0);
  ChangeOptions options;
  options.wait_ms = 10;
  ASSERT_TRUE(life_.switch_to("orders-v2", options));
  const Json proof = life_.verify("orders", 100);
  EXPECT_EQ(proof.at("verdict"), "not-proved");
  EXPECT_EQ(proof.at("verb"), "verify");
}

TEST_F(ControllerTest, StaleDecisionOfTheNewTableIsFound) {
  ASSERT_TRUE(life_.switch_to("orders-v2"));
  EXPECT_EQ(life_.verify().at("verdict"), "proved");
  // A worker that counts a decision for the closed pool, made by the snapshot that closed it:
  // the table and the counters disagree.
  model::Snapshot wrong = *life_.engine.published.front();
  wrong.revision = controller().revision();
  ASSERT_TRUE(
      life_.engine.connect_by(wrong, 1, endpoint("192.0.2.9:999"), endpoint("10.0.0.100:80")));
  const Json proof = life_.verify("orders");
  EXPECT_EQ(proof.at("verdict"), "not-proved");
  EXPECT_EQ(proof.at("reason"),
            "pool orders-v1 of route orders got 1 connection after it was closed");
  EXPECT_EQ(pool_of(proof, "orders-v1").at("stale_decisions"), 1);
}

TEST_F(ControllerTest, DecisionOfAnOldTableBeforeAcknowledgementIsNotStale) {
  life_.engine.hold(1);
  ChangeOptions options;
  options.wait_ms = 10;
  ASSERT_TRUE(life_.switch_to("orders-v2", options));
  life_.connect(20, 1);  // the held worker still serves blue
  life_.engine.release(1);
  life_.loop.advance(100ms);
  EXPECT_EQ(life_.store->load_proof(2).at("verdict"), "proved");
}

TEST_F(ControllerTest, DrainingEndsWhenConnectionsEnd) {
  const auto old = life_.connect(3);
  ChangeOptions options;
  options.existing = Existing::drain;
  options.drain_ms = 60'000;
  options.wait_ms = 100;
  const auto result = life_.switch_to("orders-v2", options);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->proof.at("verdict"), "draining");
  EXPECT_EQ(result->proof.at("reason"), "3 connections of orders-v1 were there before");
  life_.end(old);
  life_.loop.advance(100ms);
  const Json proof = life_.store->load_proof(2);
  EXPECT_EQ(proof.at("verdict"), "proved");
  EXPECT_TRUE(pool_of(proof, "orders-v1").at("drained_at").is_string());
  life_.loop.advance(70s);
  EXPECT_TRUE(life_.engine.published.back()->reset_before.empty() ||
              life_.engine.published.back()->reset_before[ref_of(life_, "orders-v1")] == 0)
      << "nothing is left to reset at the deadline";
}

TEST_F(ControllerTest, DrainDeadlineResets) {
  const auto old = life_.connect(3);
  ChangeOptions options;
  options.existing = Existing::drain;
  options.drain_ms = 1000;
  options.wait_ms = 10;
  ASSERT_TRUE(life_.switch_to("orders-v2", options));
  const uint64_t revision = controller().revision();
  life_.loop.advance(900ms);
  EXPECT_TRUE(life_.engine.published.back()->reset_before.empty());
  life_.loop.advance(150ms);
  const uint16_t blue = ref_of(life_, "orders-v1");
  ASSERT_GT(life_.engine.published.back()->reset_before.size(), blue);
  EXPECT_GT(life_.engine.published.back()->reset_before[blue], revision);
  EXPECT_EQ(life_.engine.published.back()->generation, 2u) << "a deadline is no new generation";
  life_.end(old);
  life_.loop.advance(100ms);
  EXPECT_EQ(life_.store->load_proof(2).at("verdict"), "proved");
}

TEST_F(ControllerTest, DrainDeadlineSparesAPoolThatIsOpenAgain) {
  life_.connect(3);
  ChangeOptions options;
  options.existing = Existing::drain;
  options.drain_ms = 1000;
  options.wait_ms = 10;
  ASSERT_TRUE(life_.switch_to("orders-v2", options));
  ASSERT_TRUE(life_.rollback());
  EXPECT_EQ(life_.store->load_proof(2).at("verdict"), "not-proved");
  EXPECT_EQ(life_.store->load_proof(2).at("reason"),
            "3 connections of orders-v1 were there before and had not ended when generation 3 gave "
            "it traffic again");
  life_.loop.advance(3s);
  EXPECT_TRUE(life_.engine.published.back()->reset_before.empty());
}

TEST_F(ControllerTest, ResetIsInTheSnapshotOfTheChange) {
  const auto old = life_.connect(3);
  ChangeOptions options;
  options.existing = Existing::reset;
  options.wait_ms = 100;
  const auto result = life_.switch_to("orders-v2", options);
  ASSERT_TRUE(result);
  const uint16_t blue = ref_of(life_, "orders-v1");
  EXPECT_EQ(life_.engine.published.back()->reset_before.at(blue),
            result->proof.at("revision").get<uint64_t>());
  EXPECT_EQ(result->proof.at("verdict"), "draining");
  life_.end(old);
  life_.loop.advance(100ms);
  EXPECT_EQ(life_.store->load_proof(2).at("verdict"), "proved");
  life_.loop.advance(3s);
  controller().node_changed();
  life_.loop.advance(10ms);
  EXPECT_TRUE(life_.engine.published.back()->reset_before.empty()) << "done: forgotten";
}

TEST_F(ControllerTest, RollbackMakesANewGenerationWithTheOldContent) {
  ASSERT_TRUE(life_.weight({{"orders-v1", 90}, {"orders-v2", 10}}));
  ASSERT_TRUE(life_.switch_to("orders-v2"));
  const auto result = life_.rollback();
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->generation, 4u);
  EXPECT_EQ(life_.store->load(4)->verb, "rollback");
  EXPECT_EQ(life_.store->load(4)->overlay, life_.store->load(2)->overlay);
  EXPECT_EQ(pool_of(result->proof, "orders-v2").at("weight"), 10);
  const auto to_first = life_.rollback(1);
  ASSERT_TRUE(to_first);
  EXPECT_EQ(pool_of(to_first->proof, "orders-v2").at("weight"), 0);
  EXPECT_EQ(to_first->proof.at("verdict"), "proved");
}

TEST_F(ControllerTest, RefusalsNameTheMistakeAndChangeNothing) {
  const auto message = [](const Life::Outcome& outcome) {
    return outcome ? "was not refused" : outcome.error().message;
  };
  const size_t published = life_.engine.published.size();
  EXPECT_EQ(message(life_.switch_to("orders-v9")),
            "route orders has no pool orders-v9; rule 0 has orders-v1, orders-v2");
  EXPECT_EQ(message(life_.weight({{"orders-v9", 1}})),
            "route orders rule 0 has no pool orders-v9; it has orders-v1, orders-v2");
  EXPECT_EQ(message(life_.weight({{"orders-v1", 0}})),
            "route orders rule 0 would have no pool of weight above 0");
  EXPECT_EQ(message(life_.make(weight_change(controller().content(), controller().config(), "ord",
                                             0, {{"orders-v1", 1}}))),
            "there is no route ord; there is orders");
  EXPECT_EQ(message(life_.make(weight_change(controller().content(), controller().config(),
                                             "orders", 7, {{"orders-v1", 1}}))),
            "route orders has no rule 7; its rules are 0..0");
  EXPECT_EQ(message(life_.drain("nobody")),
            "there is no pool nobody; a backend is written ADDRESS:PORT");
  EXPECT_EQ(message(life_.drain("10.9.9.9:1")), "no pool has a backend 10.9.9.9:1");
  EXPECT_EQ(message(life_.drain("orders-v1", true)), "pool orders-v1 is not drained");
  EXPECT_EQ(message(life_.drain("10.0.1.11:8080", true)), "backend 10.0.1.11:8080 is not drained");
  EXPECT_EQ(message(life_.rollback()), "there is no generation before 1");
  EXPECT_EQ(message(life_.rollback(1)), "generation 1 is the one that is served");
  EXPECT_EQ(message(life_.rollback(77)), "there is no generation 77");
  const auto broken = life_.make(apply_change("[[pool]]\nname = 3\n", "bad.toml"));
  ASSERT_FALSE(broken);
  EXPECT_FALSE(broken.error().errors.empty());
  EXPECT_TRUE(broken.error().message.starts_with("bad.toml has ")) << broken.error().message;
  EXPECT_EQ(life_.engine.published.size(), published);
  EXPECT_EQ(controller().generation(), 1u);
  EXPECT_EQ(life_.store->numbers().size(), 1u);
}

TEST_F(ControllerTest, ConflictIsToldApart) {
  ChangeOptions options;
  options.expect_generation = 9;
  const auto result = life_.switch_to("orders-v2", options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, Refusal::Kind::conflict);
  EXPECT_EQ(result.error().message,
            "generation 9 was expected, but 1 is served; look at what changed and ask again");
  options.expect_generation = 1;
  EXPECT_TRUE(life_.switch_to("orders-v2", options));
}

TEST_F(ControllerTest, DryRunTellsAndChangesNothing) {
  ChangeOptions options;
  options.dry_run = true;
  const auto result = life_.weight({{"orders-v1", 50}, {"orders-v2", 50}}, options);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->generation, 1u);
  EXPECT_EQ(result->changes.size(), 2u);
  ASSERT_EQ(result->moved.size(), 1u);
  EXPECT_EQ(result->moved[0].slots_moved, 32'768u);
  EXPECT_EQ(life_.engine.published.size(), 1u);
  EXPECT_EQ(life_.store->numbers().size(), 1u);
}

TEST_F(ControllerTest, ApplyReplacesTheFileAndItsOverlay) {
  ASSERT_TRUE(life_.switch_to("orders-v2"));
  std::string text = orders_toml;
  text.replace(text.find("weight = 100"), 12, "weight = 300");
  text.replace(text.find("worker_cores = [1, 1]"), 21, "worker_cores = [1, 2]");
  const auto refused = life_.make(apply_change(text, "new.toml"));
  ASSERT_FALSE(refused) << "somebody holds these weights";
  EXPECT_EQ(refused.error().why, "held");
  ChangeOptions options;
  options.takeover.names = {"orders"};
  const auto result = life_.make(apply_change(text, "new.toml"), options);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->restart_required, std::vector<std::string>{"node"});
  EXPECT_EQ(controller().content().overlay, Overlay{});
  EXPECT_EQ(controller().config().node.worker_cores, (std::vector<unsigned>{1, 1}));
  EXPECT_EQ(controller().config().routes[0].rules[0].backends[0].weight, 300u);
  EXPECT_EQ(pool_of(result->proof, "orders-v2").at("weight"), 0);
}

TEST_F(ControllerTest, DrainedPoolGivesItsShareToTheOthers) {
  ASSERT_TRUE(life_.weight({{"orders-v1", 50}, {"orders-v2", 50}}));
  const auto result = life_.drain("orders-v1");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->proof.at("verdict"), "proved") << result->proof.dump(2);
  EXPECT_EQ(pool_of(result->proof, "orders-v1").at("slots"), 0);
  EXPECT_EQ(pool_of(result->proof, "orders-v2").at("slots"), 65'536);
  for (const auto& connection : life_.connect(50)) {
    ASSERT_TRUE(connection);
    EXPECT_EQ(connection->decision.ref, ref_of(life_, "orders-v2"));
  }
  const auto undone = life_.drain("orders-v1", true);
  ASSERT_TRUE(undone);
  EXPECT_EQ(pool_of(undone->proof, "orders-v1").at("slots"), 32'768);
  EXPECT_EQ(undone->proof.at("verdict"), "proved");
}

TEST_F(ControllerTest, DrainOfTheLastPoolWarns) {
  const auto result = life_.drain("orders-v1");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->changes.back(),
            "warning: route orders rule 0: every pool with weight is drained, new connections are "
            "refused");
  EXPECT_EQ(result->proof.at("verdict"), "proved");
  for (const auto& connection : life_.connect(20)) EXPECT_FALSE(connection);
}

TEST_F(ControllerTest, DrainedBackendGetsNoConnection) {
  const auto old = life_.connect(40);
  ChangeOptions options;
  options.existing = Existing::drain;
  options.wait_ms = 50;
  const auto result = life_.drain("10.0.1.11:8080", false, options);
  ASSERT_TRUE(result);
  ASSERT_EQ(result->proof.at("backends").size(), 1u);
  EXPECT_EQ(result->proof.at("verdict"), "draining");
  const uint16_t id =
      controller().registry().find_backend({"orders-v1", endpoint("10.0.1.11:8080")})->id;
  for (const auto& connection : life_.connect(40)) EXPECT_NE(connection->decision.backend, id);
  for (const auto& connection : old) {
    if (connection->decision.backend == id) life_.engine.end(*connection);
  }
  life_.loop.advance(100ms);
  EXPECT_EQ(life_.store->load_proof(2).at("verdict"), "proved");
  // One backend of a wholly drained pool comes back alone.
  ASSERT_TRUE(life_.drain("orders-v1"));
  ASSERT_TRUE(life_.drain("10.0.1.11:8080", true));
  EXPECT_FALSE(controller().config().pools[0].backends[0].drained);
  EXPECT_TRUE(controller().config().pools[0].backends[1].drained);
}

TEST_F(ControllerTest, ResetOfADrainedBackendMakesItAbsent) {
  const auto old = life_.connect(40);
  ChangeOptions options;
  options.existing = Existing::reset;
  options.wait_ms = 50;
  ASSERT_TRUE(life_.drain("10.0.1.11:8080", false, options));
  const uint16_t id =
      controller().registry().find_backend({"orders-v1", endpoint("10.0.1.11:8080")})->id;
  EXPECT_FALSE(life_.engine.published.back()->backends[id].present);
  ASSERT_TRUE(life_.drain("10.0.1.11:8080", true));
  EXPECT_TRUE(life_.engine.published.back()->backends[id].present);
}

TEST_F(ControllerTest, HealthPublishesAgainOnceForABurst) {
  const BackendKey dead{"orders-v1", endpoint("10.0.1.11:8080")};
  std::string text = orders_toml;
  text.replace(text.find("backends = [{ address = \"10.0.1.11\""), 0,
               "health = { type = \"tcp\" }\n");
  ASSERT_TRUE(life_.make(apply_change(text, "health.toml")));
  const size_t published = life_.engine.published.size();
  life_.node.dead.insert(dead);
  for (int i = 0; i < 100; i++) controller().node_changed();
  life_.loop.advance(20ms);
  EXPECT_EQ(life_.engine.published.size(), published + 1);
  EXPECT_EQ(life_.engine.published.back()->generation, 2u);
  const uint16_t id = controller().registry().find_backend(dead)->id;
  for (const auto& connection : life_.connect(40)) EXPECT_NE(connection->decision.backend, id);
  EXPECT_EQ(life_.seen_events.back().at("type"), "health");
  EXPECT_EQ(life_.seen_events.back().at("state"), "down");
}

TEST_F(ControllerTest, RemovedBackendLingersUntilItsConnectionsEnd) {
  const auto old = life_.connect(40);
  std::string text = orders_toml;
  const std::string gone = "{ address = \"10.0.1.12\", port = 8080 }";
  text.replace(text.find(", " + gone), gone.size() + 2, "");
  const BackendKey key{"orders-v1", endpoint("10.0.1.12:8080")};
  const uint16_t id = controller().registry().find_backend(key)->id;
  ASSERT_TRUE(life_.make(apply_change(text, "less.toml")));
  EXPECT_TRUE(life_.engine.published.back()->backends[id].present);
  EXPECT_FALSE(life_.engine.published.back()->backends[id].in_config);
  EXPECT_TRUE(life_.node.lingering_addresses.contains(key.endpoint.address));
  life_.loop.advance(5s);
  EXPECT_TRUE(controller().registry().find_backend(id)) << "connections are left";
  life_.end(old);
  life_.loop.advance(5s);
  EXPECT_FALSE(controller().registry().find_backend(id));
  EXPECT_FALSE(life_.engine.published.back()->backends[id].present);
}

TEST_F(ControllerTest, RemovedRouteIsProvedAndItsCounterStartsAnew) {
  life_.end(life_.connect(10));
  std::string text = orders_toml;
  text.replace(text.find("name = \"orders\"\nlisteners"), 15, "name = \"orderz\"");
  const uint16_t ref = ref_of(life_, "orders-v1");
  const auto result = life_.make(apply_change(text, "renamed.toml"));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->proof.at("verdict"), "proved");
  EXPECT_EQ(result->proof.at("pools").size(), 4u) << "two new, two removed";
  life_.loop.advance(5s);
  EXPECT_FALSE(controller().registry().find_ref(ref));
  EXPECT_EQ(controller().sampler().ref(ref).decisions, 0u) << "the next owner counts from 0";
}

TEST_F(ControllerTest, RestartServesTheLastGeneration) {
  ASSERT_TRUE(life_.weight({{"orders-v1", 70}, {"orders-v2", 30}}));
  ASSERT_TRUE(life_.drain("10.0.1.11:8080"));
  const Config served = controller().config();
  life_.controller.reset();
  life_.store.reset();
  Life next(directory_.path());
  ASSERT_EQ(next.error, "");
  EXPECT_EQ(next.controller->generation(), 3u);
  EXPECT_EQ(next.controller->config(), served);
  EXPECT_EQ(next.store->numbers().size(), 3u) << "a restart is no generation";
  EXPECT_EQ(next.verify().at("verdict"), "proved");
}

TEST_F(ControllerTest, SecondSluicedIsKeptOut) {
  Life second(directory_.path());
  EXPECT_EQ(second.error, "state directory " + directory_.path().string() +
                              " is in use by another sluiced (pid " + std::to_string(::getpid()) +
                              ")");
}

TEST_F(ControllerTest, UncommittedChangeIsNotServed) {
  // A directory in the way of the file: the commit fails as on a broken disk.
  std::filesystem::create_directories(directory_.path() / "generations/000000000002.json/x");
  const auto result = life_.switch_to("orders-v2");
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().message.starts_with("generation 2 could not be stored (cannot "))
      << result.error().message;
  EXPECT_TRUE(result.error().message.ends_with("; the change is refused and traffic is as before"));
  EXPECT_EQ(controller().generation(), 1u);
  EXPECT_EQ(life_.engine.published.size(), 1u);
  EXPECT_EQ(life_.node.served.size(), 1u);
  std::filesystem::remove_all(directory_.path() / "generations/000000000002.json");
  EXPECT_TRUE(life_.switch_to("orders-v2"));
}

TEST_F(ControllerTest, TwoHundredSwitchesAreAllProved) {
  for (int i = 0; i < 200; i++) {
    const auto result = life_.switch_to(i % 2 == 0 ? "orders-v2" : "orders-v1");
    ASSERT_TRUE(result);
    ASSERT_EQ(result->proof.at("verdict"), "proved") << result->proof.dump(2);
    life_.end(life_.connect(5, unsigned(i) % 2));
  }
  EXPECT_EQ(controller().generation(), 201u);
}

TEST_F(ControllerTest, ShareWindowGivesZScores) {
  ASSERT_TRUE(life_.weight({{"orders-v1", 50}, {"orders-v2", 50}}));
  life_.loop.advance(1500ms);
  life_.connect(2000);
  const Json proof = life_.verify("orders");
  const Json green = pool_of(proof, "orders-v2");
  EXPECT_EQ(green.at("window_decisions").get<int>() +
                pool_of(proof, "orders-v1").at("window_decisions").get<int>(),
            2000);
  EXPECT_LT(std::abs(green.at("z").get<double>()), 5.0);
}

}  // namespace
}  // namespace sluice::ctrl

// --confirm-within: changes that come back by themselves, also over restarts.
#include "ctrl/control/confirm.h"

#include <gtest/gtest.h>

#include "ctrl/control/history_view.h"
#include "tests/ctrl/control/lab.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t start_unix_ms = 1'900'000'000'000;

ChangeOptions within(uint64_t ms) {
  ChangeOptions options;
  options.author = {.user = "alice", .uid = 0, .pid = 1};
  options.confirm_within_ms = ms;
  return options;
}

uint32_t weight_of(const Life& life, size_t pool) {
  return life.controller->config().routes[0].rules[0].backends[pool].weight;
}

class ConfirmTest : public testing::Test {
 protected:
  /// Ends the present sluiced as kill -9 does, lets wall time pass and starts another.
  void restart_after(int64_t wall_ms) {
    life_.reset();
    unix_ms_ += static_cast<uint64_t>(wall_ms);
    begin();
  }
  void begin() {
    life_.emplace(directory_.path(), orders_toml, 2, [this] { return unix_ms_; });
    ASSERT_EQ(life_->error, "");
  }
  void SetUp() override { begin(); }
  Controller& controller() { return *life_->controller; }

  TemporaryDirectory directory_;
  uint64_t unix_ms_ = start_unix_ms;
  std::optional<Life> life_;
};

TEST_F(ConfirmTest, LiveAtOnceAndRolledBackInTime) {
  const auto made = life_->switch_to("orders-v2", within(10'000));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->proof.at("verdict"), "proved");
  EXPECT_EQ(made->confirm.at("back_to"), 1);
  EXPECT_EQ(weight_of(*life_, 1), 100u);
  life_->loop.advance(9s);
  EXPECT_EQ(controller().generation(), 2u);
  EXPECT_LE(controller().pending_json().at("remaining_ms"), 1000);
  life_->loop.advance(1s);
  EXPECT_EQ(controller().generation(), 3u);
  EXPECT_EQ(weight_of(*life_, 0), 100u);
  EXPECT_TRUE(controller().pending_json().is_null());
  life_->loop.advance(100ms);
  const Generation back = life_->store->load(3).value();
  EXPECT_EQ(back.author.user, "sluiced");
  EXPECT_EQ(back.verb, "rollback");
  EXPECT_EQ(back.reason, "generation 2 was not confirmed within 10s");
  EXPECT_EQ(life_->store->load_proof(3).at("verdict"), "proved");
  EXPECT_EQ(controller().confirms().expired, 1u);
  const Json history = history_view(controller(), 3)["generations"];
  EXPECT_EQ(history[1]["confirm"]["outcome"], "expired");
  EXPECT_EQ(history[1]["confirm"]["by_generation"], 3);
  EXPECT_TRUE(history[0]["confirm"].is_null());
  std::vector<std::string> states;
  for (const Json& event : life_->seen_events) {
    if (event["type"] == "confirm") states.push_back(event["state"]);
  }
  EXPECT_EQ(states, (std::vector<std::string>{"awaiting", "expired"}));
}

TEST_F(ConfirmTest, ConfirmedStays) {
  ASSERT_TRUE(life_->switch_to("orders-v2", within(10'000)));
  const Author bob{.user = "bob", .uid = 1001, .pid = 2};
  EXPECT_EQ(controller().confirm(7, bob, "").error().message,
            "generation 7 does not await confirmation, 2 does");
  const auto confirmed = controller().confirm(2, bob, "looks right");
  ASSERT_TRUE(confirmed) << confirmed.error().message;
  EXPECT_EQ(confirmed->at("author"), "bob");
  life_->loop.advance(60s);
  EXPECT_EQ(controller().generation(), 2u);
  EXPECT_EQ(controller().confirm({}, bob, "").error().message, "nothing awaits confirmation");
  restart_after(3'600'000);
  EXPECT_EQ(controller().generation(), 2u) << "a restart does not forget who confirmed";
  EXPECT_EQ(history_view(controller(), 1)["generations"][0]["confirm"]["outcome"], "confirmed");
}

TEST_F(ConfirmTest, ARestartKeepsTheRemainingTime) {
  ASSERT_TRUE(life_->switch_to("orders-v2", within(10'000)));
  restart_after(6'000);
  EXPECT_EQ(controller().generation(), 2u);
  life_->loop.advance(3'900ms);
  EXPECT_EQ(controller().generation(), 2u);
  life_->loop.advance(100ms);
  EXPECT_EQ(controller().generation(), 3u);
  EXPECT_EQ(weight_of(*life_, 0), 100u);
}

TEST_F(ConfirmTest, ARestartAfterTheTimeServesTheOldContentFirst) {
  ASSERT_TRUE(life_->switch_to("orders-v2", within(10'000)));
  restart_after(10'000);
  EXPECT_EQ(controller().generation(), 3u);
  ASSERT_EQ(life_->engine.published.size(), 1u) << "the unconfirmed change is never served again";
  EXPECT_EQ(life_->engine.published[0]->generation, 3u);
  EXPECT_EQ(weight_of(*life_, 0), 100u);
  EXPECT_EQ(life_->store->load_proof(3).at("verdict"), "proved");
  EXPECT_EQ(life_->store->load(3)->changes.size(), 2u);
  restart_after(0);
  EXPECT_EQ(controller().generation(), 3u) << "it happens once";
}

TEST_F(ConfirmTest, AWallClockSetBackCannotMakeItLonger) {
  ASSERT_TRUE(life_->switch_to("orders-v2", within(10'000)));
  restart_after(-86'400'000);
  life_->loop.advance(9'900ms);
  EXPECT_EQ(controller().generation(), 2u);
  life_->loop.advance(100ms);
  EXPECT_EQ(controller().generation(), 3u);
}

TEST_F(ConfirmTest, OtherChangesWaitAndARollbackEndsTheWait) {
  ASSERT_TRUE(life_->switch_to("orders-v2", within(10'000)));
  const auto other = life_->drain("orders-v1");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().message,
            "generation 2 awaits confirmation; `sluice confirm` keeps it, `sluice rollback` takes "
            "it back, then change something else");
  ASSERT_TRUE(life_->rollback());
  EXPECT_EQ(weight_of(*life_, 0), 100u);
  EXPECT_EQ(controller().confirms().rolled_back, 1u);
  life_->loop.advance(60s);
  EXPECT_EQ(controller().generation(), 3u);
  EXPECT_TRUE(life_->drain("orders-v1"));
}

TEST_F(ConfirmTest, AFullDiskDelaysTheRollbackAndNothingElse) {
  ASSERT_TRUE(life_->switch_to("orders-v2", within(2'000)));
  const auto generations = directory_.path() / "generations";
  const auto moved = directory_.path() / "elsewhere";
  std::filesystem::rename(generations, moved);
  life_->loop.advance(5s);
  EXPECT_EQ(controller().generation(), 2u);
  std::filesystem::rename(moved, generations);
  life_->loop.advance(1s);
  EXPECT_EQ(controller().generation(), 3u);
}

TEST_F(ConfirmTest, TheRollbackTreatsConnectionsAsTheChangeDid) {
  ChangeOptions options = within(2'000);
  options.existing = Existing::reset;
  ASSERT_TRUE(life_->switch_to("orders-v2", options));
  const auto connections = life_->connect(5);
  life_->loop.advance(2s);
  const Json proof = controller().proofs().current(3)->json;
  EXPECT_EQ(proof.at("existing"), "reset");
  life_->end(connections);
  life_->loop.advance(100ms);
  EXPECT_EQ(life_->store->load_proof(3).at("verdict"), "proved");
}

TEST(ConfirmValueTest, SurvivesItsJson) {
  const Confirm confirm{.generation = 9,
                        .back_to = 7,
                        .asked_unix_ms = 5,
                        .within_ms = 60'000,
                        .existing = "drain",
                        .drain_ms = 30'000};
  const Confirm again = confirm_from_json(to_json(confirm));
  EXPECT_EQ(to_json(again), to_json(confirm));
  Json wrong = to_json(confirm);
  wrong["existing"] = "maybe";
  EXPECT_ANY_THROW(confirm_from_json(wrong));
}

}  // namespace
}  // namespace sluice::ctrl

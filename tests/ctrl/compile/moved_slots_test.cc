#include "ctrl/compile/moved_slots.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/ctrl/compile/lab.h"

namespace sluice::ctrl {
namespace {

class MovedSlotsTest : public testing::Test {
 protected:
  std::vector<MovedSlots> moved() {
    Registry scratch = registry_;
    return moved_slots(*before_, *compile_good(config_, observed_, scratch, before_));
  }
  std::vector<PoolRefConfig>& split() { return config_.routes[0].rules[1].backends; }

  Config config_ = parse_good(lab_toml);
  Observed observed_ = observe(config_);
  Registry registry_;
  SnapshotPtr before_ = compile_good(config_, observed_, registry_);
};

TEST_F(MovedSlotsTest, NothingMovesWithoutAChange) { EXPECT_TRUE(moved().empty()); }

TEST_F(MovedSlotsTest, ARampMovesExactlyTheDifference) {
  split()[0].weight = 90;
  split()[1].weight = 10;
  const auto result = moved();
  ASSERT_EQ(result.size(), 1u);
  EXPECT_EQ(result[0].route, "orders");
  EXPECT_EQ(result[0].rule, 1u);
  EXPECT_EQ(result[0].slots_moved, 6'554u - 3'277u);
  EXPECT_DOUBLE_EQ(result[0].share(), 3'277.0 / 65'536);
}

TEST_F(MovedSlotsTest, ASwitchMovesWhatTheOldPoolHad) {
  split()[0].weight = 0;
  split()[1].weight = 100;
  ASSERT_EQ(moved().size(), 1u);
  EXPECT_EQ(moved()[0].slots_moved, 62'259u);
}

TEST_F(MovedSlotsTest, PoolsAreComparedByName) {
  config_.routes[1].rules[0].backends[0].pool = "v2";
  config_.routes[1].rules[0].backends[1].pool = "v1";
  config_.routes[1].rules[0].backends[0].weight = 5;
  config_.routes[1].rules[0].backends[1].weight = 95;
  const auto result = moved();  // the base pool is another one now: some slots move, not all
  ASSERT_EQ(result.size(), 1u);
  EXPECT_EQ(result[0].route, "orders-udp");
  EXPECT_LE(result[0].slots_moved, 2 * 3'277u);
}

TEST_F(MovedSlotsTest, AReplacedPoolMovesItsSlots) {
  PoolConfig v3 = config_.pools[1];
  v3.name = "v3";
  config_.pools.push_back(v3);
  split()[1].pool = "v3";
  const auto result = moved();
  ASSERT_EQ(result.size(), 1u);
  EXPECT_GE(result[0].slots_moved, 3'277u);
  EXPECT_LE(result[0].slots_moved, 2 * 3'277u);
}

TEST_F(MovedSlotsTest, ARuleOrRouteThatGoesMovesEverything) {
  config_.routes[0].rules.pop_back();
  config_.routes.pop_back();
  const auto result = moved();
  ASSERT_EQ(result.size(), 2u);
  EXPECT_EQ(result[0].route, "orders");
  EXPECT_EQ(result[0].slots_moved, model::slot_count);
  EXPECT_EQ(result[1].route, "orders-udp");
  EXPECT_EQ(result[1].slots_moved, model::slot_count);
}

TEST_F(MovedSlotsTest, ANewRuleMovesNobody) {
  config_.routes[1].rules.insert(config_.routes[1].rules.end(), config_.routes[1].rules[0]);
  EXPECT_TRUE(moved().empty());
}

TEST_F(MovedSlotsTest, WeightsOfZeroEmptyARule) {
  for (PoolRefConfig& ref : split()) ref.weight = 0;
  ASSERT_EQ(moved().size(), 1u);
  EXPECT_EQ(moved()[0].slots_moved, model::slot_count);
  before_ = compile_good(config_, observed_, registry_, before_);
  EXPECT_TRUE(moved().empty());
  split()[0].weight = 1;  // nobody was anywhere: nobody moves
  EXPECT_TRUE(moved().empty());
}

}  // namespace
}  // namespace sluice::ctrl

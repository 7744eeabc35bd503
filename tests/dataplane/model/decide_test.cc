#include "dataplane/model/decide.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "tests/dataplane/base/test_seed.h"
#include "tests/dataplane/model/snapshot_builder.h"

namespace sluice::model {
namespace {

using test::add_listeners;
using test::add_rule;
using test::make_snapshot;

Tuple4 tuple4_from(std::string_view source) {
  return {parse_ip(source)->v4_raw(), parse_ip("10.0.0.100")->v4_raw(), swap16(40'000), swap16(80)};
}

Tuple6 tuple6_from(std::string_view source) {
  return {parse_ip(source)->bytes, parse_ip("fd00::64")->bytes, swap16(40'000), swap16(80)};
}

Tuple4 random_tuple4(std::mt19937_64& random) {
  Tuple4 tuple = tuple4_from("10.9.0.1");
  tuple.source = static_cast<uint32_t>(random());
  tuple.source_port = static_cast<uint16_t>(random());
  return tuple;
}

Tuple6 random_tuple6(std::mt19937_64& random) {
  Tuple6 tuple = tuple6_from("fd00:9::1");
  store(tuple.source.data() + 8, random());
  tuple.source_port = static_cast<uint16_t>(random());
  return tuple;
}

TEST(Decide, FollowsTheTables) {
  const Snapshot snapshot = make_snapshot({{"v1", 90, 3}, {"v2", 10, 2}});
  auto random = test::test_random();
  for (int i = 0; i < 1'000; ++i) {
    const Tuple4 tuple = random_tuple4(random);
    const Decision decision = decide(snapshot, snapshot.listeners[0], tuple);
    const Rule& rule = snapshot.routes[0].rules[0];
    ASSERT_EQ(decision.verdict, Verdict::none);
    ASSERT_EQ(decision.hash, decision_hash(snapshot.decision_key, tuple, protocol_tcp));
    ASSERT_EQ(decision.slot, decision.hash & 0xffff);
    const uint8_t chosen = (*rule.slots)[decision.slot];
    ASSERT_EQ(decision.pool, rule.pools[chosen].pool);
    ASSERT_EQ(decision.ref, 100 + chosen);
    ASSERT_LT(decision.maglev_slot, maglev_slots_small);
    ASSERT_EQ(decision.backend, (*snapshot.pools[chosen].backends)[decision.maglev_slot]);
  }
}

TEST(Decide, FirstMatchingRuleInOrderOfRoutesWins) {
  Snapshot snapshot;
  std::vector<Rule> first, second;
  first.push_back(add_rule(snapshot, {{"narrow", 1, 1}}, {test::prefix("10.1.2.0/24")}));
  first.push_back(add_rule(snapshot, {{"wide", 1, 1}},
                           {test::prefix("fd00:1::/33"), test::prefix("10.1.0.0/16")}));
  second.push_back(add_rule(snapshot, {{"one", 1, 1}},
                            {test::prefix("192.0.2.7/32"), test::prefix("2001:db8::7/128")}));
  second.push_back(add_rule(snapshot, {{"all6", 1, 1}}, {test::prefix("::/0")}));
  second.push_back(add_rule(snapshot, {{"half", 1, 1}}, {test::prefix("128.0.0.0/1")}));
  snapshot.routes.push_back({"first", std::move(first)});
  snapshot.routes.push_back({"second", std::move(second)});
  add_listeners(snapshot);
  const auto pool4 = [&](std::string_view source) {
    const Decision decision = decide(snapshot, snapshot.listeners[0], tuple4_from(source));
    return decision.verdict == Verdict::none ? snapshot.pools[decision.pool].name
                                             : std::string(verdict_name(decision.verdict));
  };
  const auto pool6 = [&](std::string_view source) {
    return snapshot.pools[decide(snapshot, snapshot.listeners[1], tuple6_from(source)).pool].name;
  };
  EXPECT_EQ(pool4("10.1.2.255"), "narrow");
  EXPECT_EQ(pool4("10.1.3.0"), "wide");
  EXPECT_EQ(pool4("10.2.0.0"), "no_rule");
  EXPECT_EQ(pool4("192.0.2.7"), "one");
  EXPECT_EQ(pool4("192.0.2.8"), "half");
  EXPECT_EQ(pool4("127.255.255.255"), "no_rule");
  EXPECT_EQ(pool6("fd00:1:7fff::1"), "wide");
  EXPECT_EQ(pool6("fd00:1:8000::1"), "all6");
  EXPECT_EQ(pool6("2001:db8::7"), "one");
  EXPECT_EQ(pool6("2001:db8::8"), "all6");
  const Decision decision = decide(snapshot, snapshot.listeners[0], tuple4_from("192.0.2.8"));
  EXPECT_EQ(decision.route, 1u);
  EXPECT_EQ(decision.rule, 2u);
}

TEST(Decide, WithoutRoutesThereIsNoRule) {
  Snapshot snapshot = make_snapshot({{"v1", 1, 1}});
  snapshot.listeners[0].routes.clear();
  const Decision decision = decide(snapshot, snapshot.listeners[0], tuple4_from("10.9.0.1"));
  EXPECT_EQ(decision.verdict, Verdict::no_rule);
  EXPECT_EQ(decision.backend, no_backend);
}

TEST(Decide, EmptyPoolFollowsItsPolicyAndKeepsItsRef) {
  const Snapshot snapshot = make_snapshot({{"v1", 1, 0, OnEmpty::reject}});
  const Decision rejected = decide(snapshot, snapshot.listeners[0], tuple4_from("10.9.0.1"));
  EXPECT_EQ(rejected.verdict, Verdict::pool_empty_reject);
  EXPECT_EQ(rejected.ref, 100);
  EXPECT_EQ(rejected.backend, no_backend);
  const Snapshot silent = make_snapshot({{"v1", 1, 0, OnEmpty::drop}});
  EXPECT_EQ(decide(silent, silent.listeners[1], tuple6_from("fd00::1")).verdict,
            Verdict::pool_empty);
}

TEST(Decide, AnEmptyPoolDoesNotSpillIntoAnother) {
  const Snapshot snapshot = make_snapshot({{"v1", 50, 0}, {"v2", 50, 2}});
  auto random = test::test_random();
  int rejected = 0;
  for (int i = 0; i < 10'000; ++i) {
    const Decision decision = decide(snapshot, snapshot.listeners[0], random_tuple4(random));
    ASSERT_EQ(decision.verdict == Verdict::pool_empty_reject, decision.pool == 0);
    rejected += decision.verdict != Verdict::none;
  }
  EXPECT_NEAR(rejected, 5'000, 200);
}

TEST(Decide, AllWeightsZeroIsAnEmptyFirstPool) {
  const Snapshot snapshot = make_snapshot({{"v1", 0, 2, OnEmpty::drop}, {"v2", 0, 2}});
  const Decision decision = decide(snapshot, snapshot.listeners[0], tuple4_from("10.9.0.1"));
  EXPECT_EQ(decision.verdict, Verdict::pool_empty);
  EXPECT_EQ(decision.ref, 100);
  EXPECT_EQ(decision.backend, no_backend);
}

// 10,000 random tuples at 95/5: the share of v2 within four standard deviations (0.87 points).
TEST(Decide, SplitsConnectionsByWeight) {
  const Snapshot snapshot = make_snapshot({{"v1", 95, 3}, {"v2", 5, 2}});
  auto random = test::test_random();
  constexpr int count = 10'000;
  const double sigma = std::sqrt(count * 0.05 * 0.95);
  int v2_of_4 = 0, v2_of_6 = 0;
  std::map<uint16_t, int> backends;
  for (int i = 0; i < count; ++i) {
    const Decision decision = decide(snapshot, snapshot.listeners[0], random_tuple4(random));
    v2_of_4 += decision.pool == 1;
    ++backends[decision.backend];
    v2_of_6 += decide(snapshot, snapshot.listeners[1], random_tuple6(random)).pool == 1;
  }
  EXPECT_NEAR(v2_of_4, count * 0.05, 4 * sigma);
  EXPECT_NEAR(v2_of_6, count * 0.05, 4 * sigma);
  for (uint16_t id = 0; id < 3; ++id) EXPECT_NEAR(backends[id], count * 0.95 / 3, 200);
  for (uint16_t id = 3; id < 5; ++id) EXPECT_NEAR(backends[id], count * 0.05 / 2, 70);
}

TEST(Decide, RaisingAWeightMovesNoTupleBack) {
  const Snapshot before = make_snapshot({{"v1", 95, 3}, {"v2", 5, 2}});
  const Snapshot after = make_snapshot({{"v1", 90, 3}, {"v2", 10, 2}});
  auto random = test::test_random();
  int in_v2 = 0;
  for (int i = 0; i < 50'000; ++i) {
    const Tuple4 tuple = random_tuple4(random);
    const Decision old_decision = decide(before, before.listeners[0], tuple);
    if (old_decision.pool != 1) continue;
    ++in_v2;
    const Decision new_decision = decide(after, after.listeners[0], tuple);
    ASSERT_EQ(new_decision.pool, 1u);
    ASSERT_EQ(new_decision.backend, old_decision.backend);
  }
  EXPECT_GT(in_v2, 2'000);
}

// Which pool a tuple goes to says nothing about which backend: chi² over 16 x 16 cells.
TEST(Decide, PoolAndBackendAreChosenIndependently) {
  const Snapshot snapshot = make_snapshot({{"v1", 1, 3}});
  auto random = test::test_random();
  constexpr int count = 200'000;
  std::array<std::array<int, 16>, 16> cells{};
  for (int i = 0; i < count; ++i) {
    const Decision decision = decide(snapshot, snapshot.listeners[0], random_tuple4(random));
    ++cells[decision.slot * 16 / slot_count][decision.maglev_slot * 16 / maglev_slots_small];
  }
  double chi = 0;
  for (const auto& row : cells) {
    for (const int cell : row) chi += (cell - count / 256.0) * (cell - count / 256.0);
  }
  chi /= count / 256.0;
  const double sigma = std::sqrt(2 * 255.0);
  EXPECT_NEAR(chi, 255, 5 * sigma);
}

TEST(Decide, DependsOnTheKey) {
  const Snapshot one = make_snapshot({{"v1", 50, 3}, {"v2", 50, 2}});
  Snapshot two = one;
  two.decision_key.bytes[0] ^= 1;
  auto random = test::test_random();
  int differing = 0;
  for (int i = 0; i < 10'000; ++i) {
    const Tuple4 tuple = random_tuple4(random);
    differing +=
        decide(one, one.listeners[0], tuple).pool != decide(two, two.listeners[0], tuple).pool;
  }
  EXPECT_NEAR(differing, 5'000, 200);
}

}  // namespace
}  // namespace sluice::model

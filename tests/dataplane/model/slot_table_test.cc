#include "dataplane/model/slot_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>

#include "tests/dataplane/base/test_seed.h"

namespace sluice::model {
namespace {

using Shares = std::vector<uint32_t>;
using Weights = std::vector<uint32_t>;

std::vector<std::string> names(size_t count) {
  std::vector<std::string> result;
  result.reserve(count);
  for (size_t i = 0; i < count; ++i) result.push_back("pool-" + std::to_string(i));
  return result;
}

std::vector<WeightedPool> weighted(const std::vector<std::string>& pool_names,
                                   const Weights& weights) {
  std::vector<WeightedPool> pools;
  pools.reserve(weights.size());
  for (size_t i = 0; i < weights.size(); ++i) pools.push_back({pool_names[i], weights[i]});
  return pools;
}

std::shared_ptr<const SlotTable> table_of(const Weights& weights) {
  const auto pool_names = names(weights.size());
  return build_slot_table(weighted(pool_names, weights));
}

Shares shares_of(const Weights& weights) {
  const auto pool_names = names(weights.size());
  return slot_shares(weighted(pool_names, weights));
}

Shares counts_of(const SlotTable& table, size_t pools) {
  Shares counts(pools, 0);
  for (const uint8_t pool : table) ++counts.at(pool);
  return counts;
}

uint32_t moves(const SlotTable& before, const SlotTable& after) {
  uint32_t moved = 0;
  for (size_t slot = 0; slot < slot_count; ++slot) moved += before[slot] != after[slot];
  return moved;
}

/// Slots that `pool` had before and has no more.
uint32_t losses(const SlotTable& before, const SlotTable& after, uint8_t pool) {
  uint32_t lost = 0;
  for (size_t slot = 0; slot < slot_count; ++slot) {
    lost += before[slot] == pool && after[slot] != pool;
  }
  return lost;
}

/// The fewest moves that lead from one set of shares to another.
uint32_t moves_min(const Shares& before, const Shares& after) {
  uint32_t sum = 0;
  for (size_t i = 0; i < before.size(); ++i) sum += after[i] > before[i] ? after[i] - before[i] : 0;
  return sum;
}

TEST(SlotShares, AreExact) {
  EXPECT_EQ(shares_of({95, 5}), (Shares{62'259, 3'277}));
  EXPECT_EQ(shares_of({1, 1}), (Shares{32'768, 32'768}));
  EXPECT_EQ(shares_of({1, 1, 1}), (Shares{21'846, 21'845, 21'845}));  // ties: the earlier
  EXPECT_EQ(shares_of({100, 0}), (Shares{65'536, 0}));
  EXPECT_EQ(shares_of({0, 100}), (Shares{0, 65'536}));
  EXPECT_EQ(shares_of({0, 0}), (Shares{0, 0}));
  EXPECT_EQ(shares_of({7}), (Shares{65'536}));
  EXPECT_EQ(shares_of({4'294'967'295, 1}), (Shares{65'535, 1}));
  EXPECT_EQ(shares_of({1, 0, 4'294'967'295, 4'294'967'295}), (Shares{1, 0, 32'767, 32'768}));
  EXPECT_TRUE(shares_of({}).empty());
}

Weights random_weights(std::mt19937_64& random, size_t pools) {
  Weights weights(pools);
  for (uint32_t& weight : weights) {
    const uint32_t kind = static_cast<uint32_t>(random() % 8);
    weight = kind == 0 ? 0 : static_cast<uint32_t>(random() % (kind == 1 ? 4'294'967'295 : 1'000));
  }
  weights[random() % pools] += 1;
  return weights;
}

TEST(SlotShares, AreTheQuotaRoundedDownOrUp) {
  auto random = test::test_random();
  for (int i = 0; i < 3'000; ++i) {
    const Weights weights = random_weights(random, 1 + random() % pools_per_rule_max);
    const Shares shares = shares_of(weights);
    const uint64_t sum = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
    ASSERT_EQ(std::accumulate(shares.begin(), shares.end(), 0u), slot_count);
    // Where a tiny weight got its one slot as a gift, somebody else stands below the quota.
    uint32_t gifts = 0;
    for (size_t pool = 0; pool < weights.size(); ++pool) {
      gifts += weights[pool] > 0 && uint64_t{weights[pool]} * slot_count < sum;
    }
    for (size_t pool = 0; pool < weights.size(); ++pool) {
      const uint64_t product = uint64_t{weights[pool]} * slot_count;
      ASSERT_LE(shares[pool], product / sum + 1);
      ASSERT_GE(shares[pool] + gifts, product / sum);
      ASSERT_EQ(shares[pool] == 0, weights[pool] == 0);
    }
  }
}

TEST(SlotShares, GiveTheSeatsLeftToTheLargestRemainders) {
  auto random = test::test_random();
  for (int i = 0; i < 1'000; ++i) {
    Weights weights(2 + random() % 20);
    for (uint32_t& weight : weights) weight = static_cast<uint32_t>(100 + random() % 10'000);
    const Shares shares = shares_of(weights);
    const uint64_t sum = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
    // Nobody who was rounded down had a larger remainder than somebody who was rounded up.
    uint64_t largest_down = 0, smallest_up = UINT64_MAX;
    for (size_t pool = 0; pool < weights.size(); ++pool) {
      const uint64_t product = uint64_t{weights[pool]} * slot_count;
      const uint64_t remainder = product % sum;
      if (shares[pool] == product / sum) {
        largest_down = std::max(largest_down, remainder);
      } else {
        smallest_up = std::min(smallest_up, remainder);
      }
    }
    ASSERT_LE(largest_down, smallest_up);
  }
}

TEST(SlotTable, HoldsEachPoolsExactShare) {
  auto random = test::test_random();
  for (int i = 0; i < 60; ++i) {
    const Weights weights = random_weights(random, 1 + random() % 12);
    ASSERT_EQ(counts_of(*table_of(weights), weights.size()), shares_of(weights));
  }
  Weights most(pools_per_rule_max, 1);
  EXPECT_EQ(counts_of(*table_of(most), most.size()), shares_of(most));
}

TEST(SlotTable, IsNullWhenEveryWeightIsZero) {
  EXPECT_EQ(table_of({0, 0, 0}), nullptr);
  EXPECT_EQ(table_of({}), nullptr);
}

TEST(SlotTable, DependsOnNothingButNamesOrderAndWeights) {
  EXPECT_EQ(*table_of({70, 20, 10}), *table_of({70, 20, 10}));
  EXPECT_EQ(*table_of({70, 20, 10}), *table_of({700, 200, 100}));
  const std::vector<WeightedPool> one = {{"blue", 50}, {"green", 50}};
  const std::vector<WeightedPool> renamed = {{"blue", 50}, {"grey", 50}};
  EXPECT_NE(*build_slot_table(one), *build_slot_table(renamed));
}

// Pins the permutation: another one would move connections when nodes of a fleet are upgraded.
TEST(SlotTable, IsTheSameInEveryRelease) {
  const std::vector<WeightedPool> pools = {{"orders-v1", 95}, {"orders-v2", 5}};
  const auto table = build_slot_table(pools);
  uint64_t digest = 0xcbf2'9ce4'8422'2325;  // FNV-1a
  for (const uint8_t pool : *table) digest = (digest ^ pool) * 0x100'0000'01b3;
  EXPECT_EQ(digest, 9'225'202'552'408'585'114u);
}

TEST(SlotTable, RampsOfTwoPoolsMoveExactlyTheDifference) {
  auto before = table_of({100, 0});
  uint32_t share_before = 0;
  std::vector<uint32_t> steps;
  for (uint32_t weight = 1; weight <= 100; ++weight) steps.push_back(weight);
  for (uint32_t weight = 99; weight != 0; weight -= 3) steps.push_back(weight);
  steps.push_back(0);
  for (const uint32_t weight : steps) {
    const auto after = table_of({100 - weight, weight});
    const uint32_t share = shares_of({100 - weight, weight})[1];
    const uint32_t delta = share > share_before ? share - share_before : share_before - share;
    ASSERT_EQ(moves(*before, *after), delta) << weight;
    ASSERT_EQ(losses(*before, *after, share > share_before ? 1 : 0), 0u) << weight;
    before = after;
    share_before = share;
  }
}

// With three pools and more: a pool that is raised loses no slot, but for one per other pool when a
// remainder turns (largest_remainder.h); and no more than (pools - 1) times the fewest slots move.
TEST(SlotTable, RaisedPoolKeepsItsSlots) {
  auto random = test::test_random();
  int paradoxes = 0;
  for (int i = 0; i < 400; ++i) {
    const size_t pools = 3 + random() % 6;
    Weights weights(pools);
    for (uint32_t& weight : weights) weight = static_cast<uint32_t>(1 + random() % 100);
    const size_t raised = random() % pools;
    Weights higher = weights;
    higher[raised] += static_cast<uint32_t>(1 + random() % 100);
    const Shares old_shares = shares_of(weights), new_shares = shares_of(higher);
    uint32_t risen = 0;  // others that gained by rounding
    for (size_t pool = 0; pool < pools; ++pool) {
      risen += pool != raised && new_shares[pool] > old_shares[pool];
    }
    paradoxes += risen > 0;
    const auto before = table_of(weights), after = table_of(higher);
    ASSERT_LE(losses(*before, *after, static_cast<uint8_t>(raised)), risen) << i;
    ASSERT_LE(moves(*before, *after), moves_min(old_shares, new_shares) * (pools - 1)) << i;
  }
  EXPECT_LT(paradoxes, 40);
}

TEST(SlotTable, RampOfOneAmongThreeMovesLittleMore) {
  uint32_t all_moves = 0, all_needed = 0;
  for (uint32_t weight = 0; weight < 50; weight += 5) {
    const Weights from = {50, 40, weight}, to = {50, 40, weight + 5};
    all_moves += moves(*table_of(from), *table_of(to));
    all_needed += moves_min(shares_of(from), shares_of(to));
  }
  EXPECT_LT(all_moves, all_needed * 3 / 2);
}

}  // namespace
}  // namespace sluice::model

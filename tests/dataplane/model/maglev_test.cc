#include "dataplane/model/maglev.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "dataplane/model/largest_remainder.h"
#include "tests/dataplane/base/test_seed.h"

namespace sluice::model {
namespace {

using Members = std::vector<MaglevMember>;

MaglevMember member(uint16_t id, uint32_t weight) {
  return {id, {IpAddress::from_v4_raw(swap32(0x0a01'0000u + id)), 8'080}, weight};
}

Members equal_members(uint16_t count, uint32_t weight = 1) {
  Members members;
  for (uint16_t id = 0; id < count; ++id) members.push_back(member(id, weight));
  return members;
}

std::map<uint16_t, uint32_t> counts_of(const MaglevTable& table) {
  std::map<uint16_t, uint32_t> counts;
  for (const uint16_t backend : table) ++counts[backend];
  return counts;
}

void expect_exact(const Members& members) {
  std::vector<uint32_t> weights;
  for (const MaglevMember& each : members) weights.push_back(each.weight);
  const auto table = build_maglev(members);
  const auto shares = largest_remainder(weights, static_cast<uint32_t>(table->size()));
  auto counts = counts_of(*table);
  for (size_t i = 0; i < members.size(); ++i) {
    // Ties of remainders go by endpoint here and by position there.
    EXPECT_NEAR(counts[members[i].backend], shares[i], 1) << i;
    EXPECT_EQ(counts[members[i].backend] == 0, weights[i] == 0) << i;
  }
}

TEST(Maglev, IsEmptyWithoutUsableMembers) {
  EXPECT_TRUE(build_maglev({})->empty());
  EXPECT_TRUE(build_maglev(equal_members(3, 0))->empty());
}

TEST(Maglev, GrowsAboveFourHundredBackends) {
  EXPECT_EQ(build_maglev(equal_members(1))->size(), maglev_slots_small);
  EXPECT_EQ(build_maglev(equal_members(400))->size(), maglev_slots_small);
  EXPECT_EQ(build_maglev(equal_members(401))->size(), maglev_slots_large);
  Members drained = equal_members(401);
  drained[7].weight = 0;
  EXPECT_EQ(build_maglev(drained)->size(), maglev_slots_small);
}

TEST(Maglev, SharesAreExact) {
  expect_exact(equal_members(1));
  expect_exact(equal_members(10));
  expect_exact(equal_members(1'000));
  expect_exact({member(0, 1), member(1, 2), member(2, 3), member(3, 0)});
  Members katran = {member(0, 1),
                    member(1, 50)};  // the case that turns by rounds get wrong 90-fold
  for (uint16_t id = 2; id < 50; ++id) katran.push_back(member(id, 100));
  expect_exact(katran);
  Members steep = {member(0, 4'294'967'295), member(1, 1), member(2, 70'000)};
  expect_exact(steep);
  auto random = test::test_random();
  for (int i = 0; i < 10; ++i) {
    Members members = equal_members(static_cast<uint16_t>(1 + random() % 300));
    for (MaglevMember& each : members) each.weight = static_cast<uint32_t>(1 + random() % 1'000);
    expect_exact(members);
  }
}

TEST(Maglev, TakesEveryBackendThatAnIdCanName) {
  const auto table = build_maglev(equal_members(65'535));
  EXPECT_EQ(counts_of(*table).size(), 65'535u);
}

// The definition of the paper (figure 5), without the short cut for the last slots: each turn's
// member takes the first free slot of its walk; equal weights take turns in order of endpoints.
TEST(Maglev, EqualsThePapersLoop) {
  for (const uint16_t count : {2, 7, 300}) {
    const Members members = equal_members(count);
    const auto table = build_maglev(members);
    std::vector<uint32_t> skip(count), next(count);
    for (uint16_t id = 0; id < count; ++id) {
      const auto [at, step] = maglev_walk(members[id].endpoint, maglev_slots_small);
      next[id] = at;
      skip[id] = step;
    }
    std::vector<int> owners(maglev_slots_small, -1);
    for (uint32_t turn = 0; turn < maglev_slots_small; ++turn) {
      const uint32_t id = turn % count;
      while (owners[next[id]] >= 0) next[id] = (next[id] + skip[id]) % maglev_slots_small;
      owners[next[id]] = static_cast<int>(id);
    }
    for (uint32_t slot = 0; slot < maglev_slots_small; ++slot) {
      ASSERT_EQ((*table)[slot], owners[slot]) << slot;
    }
  }
}

TEST(Maglev, DependsOnTheSetOfMembersAlone) {
  Members members = equal_members(50);
  for (MaglevMember& each : members) each.weight = 1 + each.backend % 3u;
  const auto table = build_maglev(members);
  auto random = test::test_random();
  std::ranges::shuffle(members, random);
  EXPECT_EQ(*table, *build_maglev(members));
  for (MaglevMember& each : members) each.weight *= 10;
  EXPECT_EQ(*table, *build_maglev(members));
}

// Pins the permutations, as in slot_table_test.cc.
TEST(Maglev, IsTheSameInEveryRelease) {
  const Members members = {member(0, 1), member(1, 2), member(2, 3)};
  uint64_t digest = 0xcbf2'9ce4'8422'2325;  // FNV-1a
  const auto table = build_maglev(members);
  for (const uint16_t id : *table) digest = (digest ^ id) * 0x100'0000'01b3;
  EXPECT_EQ(digest, 4'311'195'516'887'027'537u);
}

TEST(Maglev, TellsFamiliesAndPortsApart) {
  Members members = {member(0, 1), member(1, 1), member(2, 1)};
  const auto table = build_maglev(members);
  members[1].endpoint.port = 8'081;
  EXPECT_NE(*table, *build_maglev(members));
  members[1].endpoint.port = 8'080;
  members[1].endpoint.address.family = Family::v6;
  EXPECT_NE(*table, *build_maglev(members));
}

/// Of the slots whose backend stays, the share that moved all the same.
double collateral(const Members& before, const Members& after) {
  const auto old_table = build_maglev(before), new_table = build_maglev(after);
  std::set<uint16_t> stays;
  for (const MaglevMember& each : after) {
    if (each.weight > 0) stays.insert(each.backend);
  }
  size_t moved = 0;
  for (size_t slot = 0; slot < old_table->size(); ++slot) {
    const bool is_kept = stays.contains((*old_table)[slot]);
    moved += is_kept && (*old_table)[slot] != (*new_table)[slot];
  }
  return static_cast<double>(moved) / static_cast<double>(old_table->size());
}

Members without(const Members& members, size_t count, std::mt19937_64& random) {
  Members rest = members;
  std::ranges::shuffle(rest, random);
  rest.resize(rest.size() - count);
  return rest;
}

// Bounds from measurements of other Maglev implementations with room for chance; what is removed
// must of course move, and is not counted.
TEST(Maglev, RemovingBackendsDisturbsFewOthers) {
  auto random = test::test_random();
  const Members ten = equal_members(10), hundred = equal_members(100), most = equal_members(400);
  EXPECT_LT(collateral(ten, without(ten, 1, random)), 0.01);
  EXPECT_LT(collateral(hundred, without(hundred, 1, random)), 0.012);
  EXPECT_LT(collateral(hundred, without(hundred, 10, random)), 0.025);
  EXPECT_LT(collateral(most, without(most, 1, random)), 0.016);
  EXPECT_LT(collateral(most, without(most, 4, random)), 0.025);
  EXPECT_LT(collateral(most, without(most, 40, random)), 0.04);
  const Members thousand = equal_members(1'000);
  EXPECT_LT(collateral(thousand, without(thousand, 1, random)), 0.012);
  EXPECT_LT(collateral(thousand, without(thousand, 100, random)), 0.04);
}

TEST(Maglev, ReweightingOneDisturbsFewOthers) {
  Members before = equal_members(50, 100), after = before;
  before[20].weight = 50;
  const auto old_table = build_maglev(before), new_table = build_maglev(after);
  size_t changed = 0;
  for (size_t slot = 0; slot < old_table->size(); ++slot) {
    changed += (*old_table)[slot] != (*new_table)[slot];
  }
  EXPECT_LT(static_cast<double>(changed) / static_cast<double>(old_table->size()), 0.025);
}

}  // namespace
}  // namespace sluice::model

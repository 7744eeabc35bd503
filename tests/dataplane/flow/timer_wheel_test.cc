#include "dataplane/flow/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "tests/dataplane/flow/support.h"

namespace sluice::flow {
namespace {

struct Timer {
  uint32_t expiry_tick = 0;
  uint32_t wheel_next = 0;
  uint32_t wheel_previous = 0;
  uint32_t true_expiry = 0;  // what last_seen + timeout gives for a flow
};

struct Bench {
  Bench(uint32_t timers, uint32_t slots, uint32_t now)
      : memory(TimerWheel<Timer>::memory_bytes(slots)),
        records(timers),
        wheel(memory.span(), slots, records.data(), now) {}

  void arm(uint32_t index, uint32_t expiry) {
    records[index].true_expiry = expiry;
    wheel.insert(index, expiry);
  }
  std::vector<uint32_t> advance(uint32_t now, uint32_t budget = 0xffff'ffff) {
    std::vector<uint32_t> expired;
    visited = wheel.advance(
        now, budget, [](const Timer& timer) { return timer.true_expiry; },
        [&](uint32_t index) { expired.push_back(index); });
    std::ranges::sort(expired);
    return expired;
  }

  Memory memory;
  std::vector<Timer> records;
  TimerWheel<Timer> wheel;
  uint32_t visited = 0;
};

using Indexes = std::vector<uint32_t>;

TEST(TimerWheel, FiresAtItsTickNotBefore) {
  Bench bench(3, 64, 1000);
  bench.arm(0, 1005);
  bench.arm(1, 1005);
  bench.arm(2, 1006);
  EXPECT_EQ(bench.advance(1004), Indexes{});
  EXPECT_EQ(bench.advance(1005), (Indexes{0, 1}));
  EXPECT_EQ(bench.advance(1005), Indexes{});
  EXPECT_EQ(bench.advance(1006), Indexes{2});
  EXPECT_EQ(bench.wheel.size(), 0u);
}

TEST(TimerWheel, TimersOfOneTickQueueUp) {
  Bench bench(6, 64, 0);
  for (const uint32_t index : {3u, 1u, 4u, 0u, 5u, 2u}) bench.arm(index, 7);
  for (const uint32_t gone : {4u, 3u, 2u}) bench.wheel.remove(gone);  // within, first, last
  bench.arm(4, 7);
  for (const uint32_t expected : {1u, 0u, 5u, 4u}) {
    EXPECT_EQ(bench.wheel.nearest(), expected);
    bench.wheel.remove(expected);
  }
  EXPECT_EQ(bench.wheel.nearest(), no_flow);
  bench.arm(2, 7);
  EXPECT_EQ(bench.advance(7), Indexes{2});
}

TEST(TimerWheel, TheTickOfCreationCountsToo) {
  Bench bench(2, 64, 1000);
  bench.arm(0, 1000);
  EXPECT_EQ(bench.advance(1000), Indexes{0});
  bench.arm(1, 1000);  // already fired: the next tick
  EXPECT_EQ(bench.advance(1000), Indexes{});
  EXPECT_EQ(bench.advance(1001), Indexes{1});
}

TEST(TimerWheel, RefreshedTimerIsLookedAtOnceAndMovesOn) {
  Bench bench(1, 64, 0);
  bench.arm(0, 10);
  bench.records[0].true_expiry = 25;
  EXPECT_EQ(bench.advance(10), Indexes{});
  EXPECT_EQ(bench.visited, 1u);
  EXPECT_EQ(bench.advance(24), Indexes{});
  EXPECT_EQ(bench.visited, 0u);
  EXPECT_EQ(bench.advance(25), Indexes{0});
}

TEST(TimerWheel, TimerBeyondTheHorizonFiresExactly) {
  Bench bench(1, 64, 7);
  const uint32_t days = 5 * 864'000;
  bench.arm(0, 7 + days);
  uint32_t visits = 0;
  for (uint32_t now = 7; now < 7 + days; ++now) {
    ASSERT_EQ(bench.advance(now), Indexes{});
    visits += bench.visited;
  }
  EXPECT_LE(visits, days / 62);
  EXPECT_EQ(bench.advance(7 + days), Indexes{0});
}

TEST(TimerWheel, BudgetBoundsACallAndLosesNothing) {
  Bench bench(100, 64, 0);
  for (uint32_t i = 0; i < 100; ++i) bench.arm(i, 5 + i % 3);
  Indexes all;
  for (int call = 0; call < 15; ++call) {
    for (const uint32_t index : bench.advance(7, 7)) all.push_back(index);
    EXPECT_LE(bench.visited, 7u);
  }
  EXPECT_EQ(all.size(), 100u);
  EXPECT_EQ(bench.advance(7, 0), Indexes{});
}

TEST(TimerWheel, JumpOfHoursVisitsEveryTimerOnce) {
  Bench bench(1000, 64, 50);
  for (uint32_t i = 0; i < 1000; ++i) bench.arm(i, 50 + i * 100);
  const uint32_t now = 50 + 72'000;
  EXPECT_EQ(bench.advance(now).size(), 721u);
  EXPECT_EQ(bench.visited, 1000u);
  EXPECT_EQ(bench.wheel.size(), 279u);
  EXPECT_EQ(bench.advance(now + 28'000).size(), 279u);
}

TEST(TimerWheel, TickWraps) {
  Bench bench(2, 64, 0xffff'fff0);
  bench.arm(0, 5);
  bench.arm(1, 500);  // beyond the horizon and the wrap
  for (uint32_t now = 0xffff'fff0; now != 5; ++now) ASSERT_EQ(bench.advance(now), Indexes{});
  EXPECT_EQ(bench.advance(5), Indexes{0});
  EXPECT_EQ(bench.advance(499), Indexes{});
  EXPECT_EQ(bench.advance(500), Indexes{1});
}

TEST(TimerWheel, MovedEarlierFiresEarlier) {
  Bench bench(3, 64, 0);
  for (uint32_t i = 0; i < 3; ++i) bench.arm(i, 50);
  bench.records[1].true_expiry = 20;
  bench.wheel.move(1, 20);
  EXPECT_EQ(bench.wheel.nearest(), 1u);
  EXPECT_EQ(bench.advance(20), Indexes{1});
  bench.wheel.remove(0);
  EXPECT_EQ(bench.wheel.nearest(), 2u);
  EXPECT_EQ(bench.advance(60), Indexes{2});
  EXPECT_EQ(bench.wheel.nearest(), no_flow);
}

/// Against a sorted map: random inserts, moves, removals, refreshes, budgets and clock jumps.
TEST(TimerWheel, MatchesAMapOfTimers) {
  Random random(test_seed());
  constexpr uint32_t timers = 500;
  for (const uint32_t slots : {64u, 4096u}) {
    uint32_t now = static_cast<uint32_t>(random());
    Bench bench(timers, slots, now);
    std::map<uint32_t, bool> armed;
    for (int round = 0; round < 20'000; ++round) {
      const auto index = static_cast<uint32_t>(random() % timers);
      const uint32_t expiry = now + 1 + static_cast<uint32_t>(random() % (slots * 3));
      if (!armed.contains(index)) {
        bench.arm(index, expiry);
        armed[index] = true;
      } else if (random() % 4 == 0) {
        bench.wheel.remove(index);
        armed.erase(index);
      } else {
        const bool earlier = ticks_between(bench.records[index].expiry_tick, expiry) < 0;
        bench.records[index].true_expiry = expiry;
        if (earlier) bench.wheel.move(index, expiry);
      }
      if (random() % 3 != 0) continue;
      now += random() % 50 == 0 ? static_cast<uint32_t>(random() % (slots * 4)) : random() % 3;
      for (const uint32_t budget : {static_cast<uint32_t>(random() % 20), 10 * timers}) {
        for (const uint32_t expired : bench.advance(now, budget)) {
          ASSERT_TRUE(armed.erase(expired));
          ASSERT_LE(ticks_between(now, bench.records[expired].true_expiry), 0);
        }
        ASSERT_LE(bench.visited, budget);
      }
      ASSERT_EQ(bench.wheel.size(), armed.size());
      for (const auto& [left, unused] : armed) {
        ASSERT_GT(ticks_between(now, bench.records[left].true_expiry), 0);
      }
    }
  }
}

}  // namespace
}  // namespace sluice::flow

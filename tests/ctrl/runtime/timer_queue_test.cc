#include "ctrl/runtime/timer_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace sluice::ctrl {
namespace {

TEST(TimerQueue, RunsInOrderOfDeadlineThenOfAdding) {
  TimerQueue timers;
  std::vector<int> order;
  timers.add(30, [&](int) { order.push_back(3); });
  timers.add(10, [&](int) { order.push_back(1); });
  timers.add(20, [&](int) { order.push_back(2); });
  timers.add(10, [&](int) { order.push_back(11); });
  EXPECT_EQ(timers.next_ns(), 10u);
  TimerQueue::Task task;
  EXPECT_FALSE(timers.pop_due(9, task));
  while (timers.pop_due(25, task)) task(0);
  EXPECT_EQ(order, (std::vector{1, 11, 2}));
  EXPECT_EQ(timers.next_ns(), 30u);
  EXPECT_EQ(timers.size(), 1u);
}

TEST(TimerQueue, CancelledNeverRunsAndFreesWhatItHeld) {
  TimerQueue timers;
  const auto held = std::make_shared<int>(1);
  const uint64_t id = timers.add(5, [held](int) { FAIL(); });
  EXPECT_EQ(held.use_count(), 2);
  timers.cancel(id);
  EXPECT_EQ(held.use_count(), 1);
  timers.cancel(id);
  timers.cancel(12345);
  EXPECT_EQ(timers.next_ns(), TimerQueue::never);
  TimerQueue::Task task;
  EXPECT_FALSE(timers.pop_due(1'000, task));
}

TEST(TimerQueue, TaskThatCancelsAnotherWhenDropped) {
  struct Canceller {
    TimerQueue& timers;
    uint64_t other;
    ~Canceller() { timers.cancel(other); }
  };
  TimerQueue timers;
  const uint64_t other = timers.add(5, [](int) {});
  const auto canceller = std::make_shared<Canceller>(timers, other);
  uint64_t id = timers.add(6, [canceller](int) {});
  const_cast<std::shared_ptr<Canceller>&>(canceller).reset();
  timers.cancel(id);
  EXPECT_EQ(timers.size(), 0u);
}

// Against a plain multimap: adds, cancels and time in random order.
TEST(TimerQueue, AgreesWithAnOracle) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  TimerQueue timers;
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> oracle;  // (deadline, id) → id
  std::vector<uint64_t> ran;
  uint64_t now = 0;
  for (int step = 0; step < 200'000; ++step) {
    const unsigned dice = random() % 10;
    if (dice < 5) {
      const uint64_t deadline = now + random() % 1000;
      const auto slot = std::make_shared<uint64_t>(0);
      const uint64_t id = timers.add(deadline, [&ran, slot](int) { ran.push_back(*slot); });
      *slot = id;
      oracle[{deadline, id}] = id;
    } else if (dice < 9 && !oracle.empty()) {
      auto victim = oracle.lower_bound({now + random() % 1000, 0});
      if (victim == oracle.end()) victim = oracle.begin();
      timers.cancel(victim->second);
      oracle.erase(victim);
    } else {
      now += random() % 50;
      ran.clear();
      TimerQueue::Task task;
      while (timers.pop_due(now, task)) task(0);
      std::vector<uint64_t> expected;
      while (!oracle.empty() && oracle.begin()->first.first <= now) {
        expected.push_back(oracle.begin()->second);
        oracle.erase(oracle.begin());
      }
      ASSERT_EQ(ran, expected);
    }
    ASSERT_EQ(timers.size(), oracle.size());
  }
}

}  // namespace
}  // namespace sluice::ctrl

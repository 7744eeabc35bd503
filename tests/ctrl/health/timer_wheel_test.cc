#include "ctrl/health/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <random>

namespace sluice::ctrl {
namespace {

constexpr uint64_t tick_ns = uint64_t{1} << TimerWheel::tick_shift;
constexpr uint64_t start_ns = 987'654'321'000;

struct Alarm final : TimerWheel::Timer {
  std::function<void(uint64_t now_ns)> then;
  uint64_t rang_ns = 0;
  int times = 0;

 private:
  void due(uint64_t now_ns) override {
    rang_ns = now_ns;
    ++times;
    if (then) then(now_ns);
  }
};

TEST(TimerWheel, RingsWithinATickAndNeverEarly) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  TimerWheel wheel(start_ns);
  std::deque<Alarm> alarms(2'000);
  for (Alarm& alarm : alarms) {
    // Up to three turns of the wheel ahead.
    wheel.set(alarm, start_ns + random() % (3 * TimerWheel::slots * tick_ns));
    if (random() % 10 == 0) TimerWheel::clear(alarm);
  }
  const std::vector<bool> cleared = [&] {
    std::vector<bool> them;
    for (const Alarm& alarm : alarms) them.push_back(!alarm.is_set());
    return them;
  }();
  for (uint64_t now_ns = start_ns; wheel.next_ns() != TimerWheel::never;) {
    const uint64_t next_ns = wheel.next_ns();
    for (const Alarm& alarm : alarms) {
      ASSERT_TRUE(!alarm.is_set() || next_ns < alarm.deadline_ns() + 2 * tick_ns);
    }
    now_ns = std::max(next_ns, now_ns + 1);
    wheel.advance(now_ns);
  }
  for (size_t i = 0; i < alarms.size(); ++i) {
    ASSERT_EQ(alarms[i].times, cleared[i] ? 0 : 1);
    if (cleared[i]) continue;
    EXPECT_GE(alarms[i].rang_ns, alarms[i].deadline_ns());
    EXPECT_LE(alarms[i].rang_ns, alarms[i].deadline_ns() + 2 * tick_ns);
  }
}

TEST(TimerWheel, AfterALongPauseEverythingRingsOnce) {
  TimerWheel wheel(start_ns);
  std::deque<Alarm> alarms(100);
  for (size_t i = 0; i < alarms.size(); ++i) wheel.set(alarms[i], start_ns + i * 997 * tick_ns);
  wheel.advance(start_ns + 1'000'000 * tick_ns);
  for (const Alarm& alarm : alarms) EXPECT_EQ(alarm.times, 1);
  EXPECT_EQ(wheel.next_ns(), TimerWheel::never);
}

TEST(TimerWheel, AlarmsMaySetAndClearOthers) {
  TimerWheel wheel(start_ns);
  Alarm again, victim, other;
  again.then = [&](uint64_t now_ns) {
    if (again.times < 5) wheel.set(again, now_ns);
    TimerWheel::clear(victim);
    wheel.set(other, now_ns + TimerWheel::slots * tick_ns);  // this very slot, a turn later
  };
  wheel.set(again, start_ns);
  wheel.set(victim, start_ns);
  for (int i = 1; i <= 5; ++i) {
    wheel.advance(start_ns + i * tick_ns);
    EXPECT_EQ(again.times, i) << "one that sets itself is due in the next tick, not for ever";
  }
  EXPECT_EQ(victim.times, 0);
  EXPECT_EQ(other.times, 0);
  wheel.advance(start_ns + (TimerWheel::slots + 10) * tick_ns);
  EXPECT_EQ(other.times, 1);
}

TEST(TimerWheel, ADestroyedTimerIsForgotten) {
  TimerWheel wheel(start_ns);
  {
    Alarm alarm;
    wheel.set(alarm, start_ns);
  }
  EXPECT_EQ(wheel.next_ns(), TimerWheel::never);
  wheel.advance(start_ns + 10 * tick_ns);
}

}  // namespace
}  // namespace sluice::ctrl

// Rise, fall, holds and slow start in virtual time.
#include "ctrl/health/judge.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice::ctrl {
namespace {

constexpr uint64_t ms = 1'000'000;
constexpr uint64_t begin_ns = 5'000 * ms;

ProbeResult good() { return {.ok = true, .text = "connected"}; }
ProbeResult bad() { return {.ok = false, .text = "connect: Connection refused"}; }

class Backend {
 public:
  explicit Backend(const HealthConfig& rules) : rules_(rules) {}
  /// The next probe, `after_ms` later; true when `up` changed.
  bool probe(bool well, uint64_t after_ms = 100) {
    now_ns_ += after_ms * ms;
    return judge(state, rules_, well ? good() : bad(), now_ns_, now_ns_ / ms);
  }
  void fall() {
    while (state.up) probe(false);
  }
  /// How long probes must succeed until it is up.
  uint64_t return_ms() {
    const uint64_t from_ns = now_ns_;
    while (!state.up) probe(true, 10);
    return (now_ns_ - from_ns) / ms;
  }
  uint64_t now_ns() const { return now_ns_; }

  HealthState state;

 private:
  HealthConfig rules_;
  uint64_t now_ns_ = begin_ns;
};

TEST(Judge, FallsAndRisesByProbesInARow) {
  Backend backend({.type = HealthType::tcp, .rise = 2, .fall = 3});
  EXPECT_FALSE(backend.probe(false));
  EXPECT_FALSE(backend.probe(false));
  EXPECT_FALSE(backend.probe(true)) << "the row is broken";
  EXPECT_FALSE(backend.probe(false));
  EXPECT_FALSE(backend.probe(false));
  EXPECT_TRUE(backend.probe(false));
  EXPECT_FALSE(backend.state.up);
  EXPECT_EQ(backend.state.reason, "connect: Connection refused");
  EXPECT_EQ(backend.state.since_ms, backend.now_ns() / ms);
  EXPECT_FALSE(backend.probe(true));
  EXPECT_TRUE(backend.probe(true));
  EXPECT_TRUE(backend.state.reason.empty());
}

TEST(Judge, HoldsDoubleUpToTheirLimit) {
  Backend backend({.type = HealthType::tcp,
                   .rise = 1,
                   .fall = 1,
                   .flap_hold_ms = 1'000,
                   .flap_hold_ms_max = 5'000,
                   .flap_window_ms = 10'000});
  backend.fall();
  EXPECT_LE(backend.return_ms(), 10u) << "the first fall is no flap";
  for (const uint64_t hold_ms : {1'000, 2'000, 4'000, 5'000, 5'000}) {
    backend.fall();
    EXPECT_EQ(backend.state.hold_ms(backend.now_ns()), hold_ms);
    const uint64_t took_ms = backend.return_ms();
    EXPECT_GE(took_ms, hold_ms);
    EXPECT_LE(took_ms, hold_ms + 10);
  }
  // Up for the whole window: forgiven.
  for (int i = 0; i < 110; ++i) backend.probe(true);
  backend.fall();
  EXPECT_EQ(backend.state.flaps, 0u);
  EXPECT_LE(backend.return_ms(), 10u);
}

TEST(Judge, FlappingAtAnyPeriodReturnsAtMostOncePerHold) {
  const HealthConfig rules{.type = HealthType::tcp,
                           .rise = 2,
                           .fall = 3,
                           .flap_hold_ms = 500,
                           .flap_hold_ms_max = 8'000,
                           .flap_window_ms = 30'000};
  for (uint64_t period_ms = 100; period_ms <= 10'000; period_ms += 100) {
    Backend backend(rules);
    std::vector<uint64_t> returns_ns;
    for (uint64_t at_ms = 0; at_ms < 300'000; at_ms += 50) {
      const bool well = at_ms % period_ms < period_ms / 2;
      if (backend.probe(well, 50) && backend.state.up) returns_ns.push_back(backend.now_ns());
    }
    // Holds 0, 0.5, 1, 2, 4, 8, 8, ... : what they allow in 300 s.
    EXPECT_LE(returns_ns.size(), 5u + 300 / 8) << "period " << period_ms << " ms";
    for (size_t i = 6; i < returns_ns.size(); ++i) {
      EXPECT_GE(returns_ns[i] - returns_ns[i - 1], 8'000 * ms) << "period " << period_ms << " ms";
    }
  }
}

TEST(Judge, RandomLivesNeverBreakTheRules) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int life = 0; life < 300; ++life) {
    const HealthConfig rules{.type = HealthType::tcp,
                             .rise = 1 + uint32_t(random() % 4),
                             .fall = 1 + uint32_t(random() % 4),
                             .flap_hold_ms = random() % 2 == 0 ? 0 : 1 + uint32_t(random() % 2'000),
                             .flap_hold_ms_max = 2'000 + uint32_t(random() % 20'000),
                             .flap_window_ms = 100 + uint32_t(random() % 20'000),
                             .slow_start_ms = uint32_t(random() % 3) * 1'000};
    Backend backend(rules);
    uint32_t good_row = 0, bad_row = 0;
    for (int step = 0; step < 500; ++step) {
      const bool was_up = backend.state.up;
      const bool well = random() % 8 < (random() % 3) * 4;
      const uint64_t hold_until_ns = backend.state.hold_until_ns;
      const bool changed = backend.probe(well, random() % 1'000);
      good_row = well ? good_row + 1 : 0;
      bad_row = well ? 0 : bad_row + 1;
      ASSERT_EQ(changed, was_up != backend.state.up);
      const bool held = backend.now_ns() < hold_until_ns;
      const bool expected = was_up ? bad_row < rules.fall : good_row >= rules.rise && !held;
      ASSERT_EQ(backend.state.up, expected) << "life " << life << " step " << step;
      ASSERT_LE(backend.state.hold_ms(backend.now_ns()), rules.flap_hold_ms_max);
      ASSERT_TRUE(rules.flap_hold_ms > 0 || backend.state.hold_until_ns == 0);
    }
  }
}

TEST(Judge, EjectsAtOnceAndReturnsByProbes) {
  const HealthConfig rules{.type = HealthType::tcp, .rise = 2, .fall = 3, .flap_hold_ms = 1'000};
  Backend backend(rules);
  backend.probe(true);
  EXPECT_TRUE(eject(backend.state, rules, "5 SYNs unanswered", backend.now_ns(), 1));
  EXPECT_FALSE(eject(backend.state, rules, "again", backend.now_ns(), 2)) << "it is down";
  EXPECT_FALSE(backend.state.up);
  EXPECT_EQ(backend.return_ms(), 20u);
}

TEST(Judge, SlowStartGrowsInSteps) {
  const HealthConfig rules{.type = HealthType::tcp, .rise = 1, .fall = 1, .slow_start_ms = 10'000};
  Backend backend(rules);
  EXPECT_EQ(slow_start(backend.state, rules, backend.now_ns()).percent, 100) << "never was away";
  backend.fall();
  EXPECT_EQ(slow_start(backend.state, rules, backend.now_ns()).percent, 100) << "down";
  backend.return_ms();
  const uint64_t back_ns = backend.now_ns();
  EXPECT_EQ(backend.state.weight_percent, 10);
  uint64_t at_ns = back_ns;
  for (int step = 1; step <= 10; ++step) {
    const SlowStart now = slow_start(backend.state, rules, at_ns);
    EXPECT_EQ(now.percent, step * 10);
    EXPECT_EQ(now.next_ns, back_ns + step * 1'000 * ms);
    EXPECT_EQ(slow_start(backend.state, rules, now.next_ns - 1).percent, step * 10);
    at_ns = now.next_ns;
  }
  EXPECT_EQ(slow_start(backend.state, rules, at_ns).percent, 100);
  EXPECT_EQ(slow_start(backend.state, rules, at_ns).next_ns, 0u);
}

}  // namespace
}  // namespace sluice::ctrl

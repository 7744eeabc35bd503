// A day of simulated time in the flow table of one worker, against a naive oracle. Unoptimised
// and sanitized builds run a shorter day. SLUICE_SEED repeats a run.
#include <gtest/gtest.h>

#include "tests/dataplane/flow/simulation.h"

namespace sluice::flow {
namespace {

#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__)
constexpr uint64_t simulated_ticks = 24 * 36'000;
#else
constexpr uint64_t simulated_ticks = 2 * 36'000;
#endif

constexpr int days_max = 50;

/// What a run must have had in it, or it proves nothing.
template <typename Tuple>
bool had_everything(const Simulation<Tuple>& simulation) {
  return simulation.expired() > 100 && simulation.evicted() > 100 && simulation.reused() > 10 &&
         simulation.resets() > 10 && simulation.revived() > 10;
}

template <typename Tuple>
class FlowSimulation : public testing::Test {};

using Families = testing::Types<Tuple4, Tuple6>;
TYPED_TEST_SUITE(FlowSimulation, Families);

TYPED_TEST(FlowSimulation, ADayWithoutLeakStaleEntryOrLostTimer) {
  Random random(test_seed());
  // The 32-bit tick wraps about half an hour into the day.
  Simulation<TypeParam> simulation(random, 0xffff'ffff - 18'000);
  // A short day may miss a rare event; then the next day follows.
  for (int day = 0; day == 0 || (day < days_max && !had_everything(simulation)); ++day) {
    simulation.run(simulated_ticks);
    if (this->HasFatalFailure()) return;
  }
  simulation.drain();
  std::printf(
      "opened %lu, expired %lu, evicted %lu (%lu nearest), reused %lu, reset %lu, "
      "revived %lu\n",
      simulation.opened(), simulation.expired(), simulation.evicted(), simulation.evicted_exactly(),
      simulation.reused(), simulation.resets(), simulation.revived());
  EXPECT_TRUE(had_everything(simulation));
  EXPECT_GT(simulation.opened(), simulated_ticks / 100);
  EXPECT_GT(simulation.evicted_exactly(), simulation.evicted() / 2);
}

}  // namespace
}  // namespace sluice::flow

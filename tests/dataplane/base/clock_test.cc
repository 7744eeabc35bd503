#include "dataplane/base/clock.h"

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <vector>

namespace sluice {
namespace {

uint64_t kernel_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

TEST(Clock, FollowsTheKernelsMonotonicClock) {
  calibrate_clock();
  EXPECT_GT(cycles_per_second(), 500'000'000u);
  EXPECT_LT(cycles_per_second(), 10'000'000'000u);
  for (int pause_ms : {0, 10, 100}) {
    timespec pause = {0, pause_ms * 1'000'000};
    nanosleep(&pause, nullptr);
    // The machine may take the core away between two reads: the least disturbed pair counts.
    std::vector<int64_t> errors;
    for (int i = 0; i < 100; ++i) {
      const uint64_t before = kernel_ns();
      const uint64_t ours = monotonic_ns_now();
      const uint64_t after = kernel_ns();
      const int64_t early = static_cast<int64_t>(before - ours);
      const int64_t late = static_cast<int64_t>(ours - after);
      errors.push_back(std::max({early, late, int64_t{0}}));
    }
    EXPECT_LT(*std::ranges::min_element(errors), 50'000) << pause_ms;
  }
}

TEST(Clock, ScalesCyclesInBothDirections) {
  calibrate_clock();
  const uint64_t now = cycles_now();
  const uint64_t second = cycles_per_second();
  const auto gap = [&](uint64_t from, uint64_t to) {
    return static_cast<int64_t>(monotonic_ns(to) - monotonic_ns(from));
  };
  EXPECT_NEAR(static_cast<double>(gap(now, now + second)), 1e9, 10);
  EXPECT_NEAR(static_cast<double>(gap(now, now + second * 86'400)), 86'400e9, 100'000);
  EXPECT_NEAR(static_cast<double>(gap(now - second, now)), 1e9, 10);
}

}  // namespace
}  // namespace sluice

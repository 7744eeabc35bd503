#include "perf/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace sluice::perf {
namespace {

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 60; ++value) histogram.add(value);
  EXPECT_EQ(histogram.percentile(0.5), 30);
  EXPECT_EQ(histogram.percentile(0), 1);
  EXPECT_EQ(histogram.percentile(1), 60);
}

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0);
  EXPECT_EQ(histogram.percentile(0.99), 0);
}

TEST(Histogram, PercentilesAreNeverTooLowAndAtMost3PercentTooHigh) {
  constexpr uint64_t seed = 7;
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> durations(9, 2);
  Histogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(static_cast<uint64_t>(durations(random)));
    histogram.add(values.back());
  }
  std::ranges::sort(values);
  for (const double share : {0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
    const auto exact = static_cast<double>(values[rank - 1]);
    const auto found = static_cast<double>(histogram.percentile(share));
    EXPECT_GE(found, exact) << "seed " << seed << ", share " << share;
    EXPECT_LE(found, exact * 1.033 + 1) << "seed " << seed << ", share " << share;
  }
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(Histogram, HugeValuesShareTheLastBucket) {
  Histogram histogram;
  histogram.add(uint64_t{1} << 60);
  EXPECT_EQ(histogram.percentile(0.5), uint64_t{1} << 60);
}

}  // namespace
}  // namespace sluice::perf

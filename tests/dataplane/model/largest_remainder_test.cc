#include "dataplane/model/largest_remainder.h"

#include <gtest/gtest.h>

#include <numeric>

namespace sluice::model {
namespace {

using Shares = std::vector<uint32_t>;

Shares divide(const std::vector<uint32_t>& weights, uint32_t total) {
  return largest_remainder(weights, total);
}

TEST(LargestRemainder, RoundsTheLargestRemaindersUp) {
  EXPECT_EQ(divide({41, 31, 28}, 10), (Shares{4, 3, 3}));  // quotas 4.1, 3.1, 2.8
  EXPECT_EQ(divide({5, 3, 2}, 7), (Shares{4, 2, 1}));      // quotas 3.5, 2.1, 1.4
  EXPECT_EQ(divide({2, 2, 2}, 7), (Shares{3, 2, 2}));      // a tie: the earlier
  EXPECT_EQ(divide({}, 7), Shares{});
  EXPECT_EQ(divide({0, 0}, 7), (Shares{0, 0}));
}

TEST(LargestRemainder, GivesEveryWeightASeatFromTheLargest) {
  EXPECT_EQ(divide({1'000'000, 1, 1, 0}, 10), (Shares{8, 1, 1, 0}));
  EXPECT_EQ(divide({500'000, 500'000, 1}, 10), (Shares{4, 5, 1}));  // equal: from the earlier
  EXPECT_EQ(divide({1, 4'294'967'295, 1}, 3), (Shares{1, 1, 1}));
}

TEST(LargestRemainder, ManyWeightsFillTheTotal) {
  std::vector<uint32_t> weights(65'535, 1);
  weights[100] = 4'294'967'295;
  const Shares shares = divide(weights, 131'071);
  EXPECT_EQ(std::accumulate(shares.begin(), shares.end(), 0u), 131'071u);
  EXPECT_EQ(shares[100], 131'071u - 65'534u);
  EXPECT_EQ(shares[0], 1u);
}

}  // namespace
}  // namespace sluice::model

#include "perf/flow_order.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace sluice::perf {

std::vector<uint32_t> shuffle_positions(uint32_t flows, uint64_t seed) {
  std::vector<uint32_t> order(flows);
  std::mt19937_64 random(seed);
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::shuffle(order, random);
  return order;
}

std::vector<uint32_t> draw_zipf(uint32_t flows, double exponent, uint64_t seed) {
  std::vector<double> reached(flows);
  double sum = 0;
  for (uint32_t rank = 0; rank < flows; ++rank) {
    sum += std::pow(rank + 1.0, -exponent);
    reached[rank] = sum;
  }
  const std::vector<uint32_t> position_of = shuffle_positions(flows, seed);
  std::mt19937_64 random(seed + 1);
  std::uniform_real_distribution<double> uniform(0, sum);
  std::vector<uint32_t> draws(zipf_draws);
  for (uint32_t& draw : draws) {
    const auto found = std::ranges::lower_bound(reached, uniform(random));
    draw = position_of[std::min(flows - 1, static_cast<uint32_t>(found - reached.begin()))];
  }
  return draws;
}

}  // namespace sluice::perf

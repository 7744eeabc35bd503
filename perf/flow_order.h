// The orders in which flows are opened and used. Pure; the same seed gives the same order.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::perf {

inline constexpr uint32_t zipf_draws = 1 << 22;

/// Every position below `flows` once, shuffled.
std::vector<uint32_t> shuffle_positions(uint32_t flows, uint64_t seed);

/// `zipf_draws` positions by Zipf's law: rank r with a probability proportional to 1 / r^exponent.
/// Ranks are spread over the positions by another shuffle.
std::vector<uint32_t> draw_zipf(uint32_t flows, double exponent, uint64_t seed);

}  // namespace sluice::perf

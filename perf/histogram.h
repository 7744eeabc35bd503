// Histogram: durations in buckets of 1/32 of a power of two each, so that any percentile is at most
// 3 % too high. One thread.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace sluice::perf {

class Histogram {
 public:
  void add(uint64_t value) {
    ++counts_[bucket(value)];
    ++count_;
    max_ = std::max(max_, value);
  }

  void clear() { *this = {}; }
  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }

  /// Nearest rank: what at least `share` (0..1) of all values do not exceed, rounded up to the end
  /// of its bucket. 0 without values.
  uint64_t percentile(double share) const {
    const auto rank = std::max<uint64_t>(
        1, static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_))));
    uint64_t seen = 0;
    for (uint32_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= rank) return i + 1 == counts_.size() ? max_ : std::min(max_, end_of(i));
    }
    return max_;
  }

 private:
  static constexpr uint32_t steps = 32;

  static uint32_t bucket(uint64_t value) {
    if (value < steps) return static_cast<uint32_t>(value);
    const auto exponent = static_cast<uint32_t>(std::bit_width(value)) - 6;
    return std::min(buckets - 1, exponent * steps + static_cast<uint32_t>(value >> exponent));
  }
  static uint64_t end_of(uint32_t bucket) {
    if (bucket < 2 * steps) return bucket;
    const uint32_t exponent = bucket / steps - 1;
    return ((uint64_t{bucket} - exponent * steps + 1) << exponent) - 1;
  }

  static constexpr uint32_t buckets = 36 * steps;  // up to 2^40
  std::array<uint64_t, buckets> counts_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace sluice::perf

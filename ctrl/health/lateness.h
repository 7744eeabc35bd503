// Lateness: how long after their time probes left: since the start for metrics, of the last 10 to
// 20 seconds for people. Pure; one thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace sluice::ctrl {

class Lateness {
 public:
  /// Upper bounds of the buckets in milliseconds; one more bucket holds what is later.
  static constexpr std::array<uint32_t, 19> bounds_ms = {
      1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 5000};
  using Counts = std::array<uint64_t, bounds_ms.size() + 1>;

  void add(uint64_t late_ns, uint64_t now_ns);

  /// The bound that `share` (0..1) of the recent probes kept, in ms; 0 when there was none, and
  /// the largest one seen when it is beyond the bounds.
  double recent_ms(double share) const;
  double recent_max_ms() const;
  uint64_t recent_count() const;

  const Counts& total() const { return total_; }
  double total_seconds() const { return double(sum_ns_) / 1e9; }

 private:
  static constexpr uint64_t window_ns = 10'000'000'000;
  struct Window {
    Counts counts{};
    uint64_t max_ns = 0;
  };
  Window now_, before_;
  uint64_t window_end_ns_ = 0;
  Counts total_{};
  uint64_t sum_ns_ = 0;
};

}  // namespace sluice::ctrl

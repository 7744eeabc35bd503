#include "ctrl/health/lateness.h"

#include <algorithm>
#include <numeric>

namespace sluice::ctrl {

void Lateness::add(uint64_t late_ns, uint64_t now_ns) {
  if (now_ns >= window_end_ns_) {
    before_ = now_ns < window_end_ns_ + window_ns ? now_ : Window{};
    now_ = {};
    window_end_ns_ = now_ns + window_ns;
  }
  const uint64_t late_ms = (late_ns + 999'999) / 1'000'000;
  const size_t bucket =
      static_cast<size_t>(std::ranges::lower_bound(bounds_ms, late_ms) - bounds_ms.begin());
  ++total_[bucket];
  ++now_.counts[bucket];
  now_.max_ns = std::max(now_.max_ns, late_ns);
  sum_ns_ += late_ns;
}

uint64_t Lateness::recent_count() const {
  const auto sum = [](const Counts& counts) {
    return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  };
  return sum(now_.counts) + sum(before_.counts);
}

double Lateness::recent_max_ms() const {
  return double(std::max(now_.max_ns, before_.max_ns)) / 1e6;
}

double Lateness::recent_ms(double share) const {
  const double wanted = share * double(recent_count());
  uint64_t seen = 0;
  for (size_t i = 0; i < bounds_ms.size(); ++i) {
    seen += now_.counts[i] + before_.counts[i];
    if (seen > 0 && double(seen) >= wanted) return std::min<double>(bounds_ms[i], recent_max_ms());
  }
  return recent_max_ms();
}

}  // namespace sluice::ctrl

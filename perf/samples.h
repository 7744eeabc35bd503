// Samples: cost per packet, one sample a chunk of work; and a stop watch in TSC cycles.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

#include "dataplane/base/clock.h"

namespace sluice::perf {

class Samples {
 public:
  void add(uint64_t cycles, uint64_t packets) {
    values_.push_back(static_cast<double>(cycles) / static_cast<double>(packets));
  }

  /// The median is what the machine gave; the best twentieth is what it gives when nobody else
  /// uses its caches and memory.
  void print(const char* what) {
    if (values_.empty()) return;
    std::ranges::sort(values_);
    std::printf("  %-36s median %7.1f   best %7.1f\n", what, values_[values_.size() / 2],
                values_[values_.size() / 20]);
  }

  /// The same with nanoseconds, as flow_bench prints them. The clock is calibrated.
  void print_with_ns(const char* what) {
    if (values_.empty()) return;
    std::ranges::sort(values_);
    const double ns = 1e9 / static_cast<double>(cycles_per_second());
    const double median = values_[values_.size() / 2], best = values_[values_.size() / 20];
    std::printf("  %-42s median %7.1f ns %6.0f cycles   best %7.1f ns %6.0f cycles\n", what,
                median * ns, median, best * ns, best);
  }

 private:
  std::vector<double> values_;
};

class StopWatch {
 public:
  /// Cycles since the last call.
  uint64_t lap() {
    const uint64_t now = cycles_now();
    return now - std::exchange(last_, now);
  }

 private:
  uint64_t last_ = cycles_now();
};

}  // namespace sluice::perf

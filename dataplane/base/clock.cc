#include "dataplane/base/clock.h"

#include <time.h>

#include "dataplane/base/assert.h"

namespace sluice {
namespace {

__extension__ using Wide = __int128;  // a product of two 64-bit numbers

struct Moment {
  uint64_t cycles = 0;
  uint64_t ns = 0;
};

struct Calibration {
  Moment origin;
  uint64_t cycles_per_second = 0;
  uint64_t ns_per_cycle_q32 = 0;  // nanoseconds per cycle, 32 fractional bits
};

// Written once, before any other thread runs.
Calibration calibration;

constexpr uint64_t ns_per_second = 1'000'000'000;
constexpr uint64_t measured_ns = 20'000'000;

uint64_t kernel_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * ns_per_second + static_cast<uint64_t>(now.tv_nsec);
}

/// Both clocks at one moment: of several tries the one least disturbed by an interrupt.
Moment moment_now() {
  Moment best;
  uint64_t best_cost = UINT64_MAX;
  for (int i = 0; i < 16; ++i) {
    const uint64_t before = cycles_now();
    const uint64_t ns = kernel_ns();
    const uint64_t cost = cycles_now() - before;
    if (cost >= best_cost) continue;
    best_cost = cost;
    best = {before + cost / 2, ns};
  }
  return best;
}

}  // namespace

void calibrate_clock() {
  const Moment first = moment_now();
  timespec pause = {0, static_cast<long>(measured_ns)};
  while (nanosleep(&pause, &pause) != 0) {
  }
  const Moment last = moment_now();
  const uint64_t cycles = last.cycles - first.cycles;
  const uint64_t ns = last.ns - first.ns;
  SLUICE_ASSERT(last.cycles > first.cycles && ns >= measured_ns);
  calibration.cycles_per_second = static_cast<uint64_t>(Wide{cycles} * ns_per_second / ns);
  calibration.ns_per_cycle_q32 = static_cast<uint64_t>((Wide{ns} << 32) / cycles);
  calibration.origin = last;
}

uint64_t cycles_per_second() { return calibration.cycles_per_second; }

uint64_t monotonic_ns(uint64_t cycles) {
  // Signed: another core's TSC may stand a moment before the origin.
  const auto elapsed = static_cast<int64_t>(cycles - calibration.origin.cycles);
  const auto scaled = Wide{elapsed} * calibration.ns_per_cycle_q32 >> 32;
  return calibration.origin.ns + static_cast<uint64_t>(scaled);
}

}  // namespace sluice

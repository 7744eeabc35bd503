// Time for workers: the TSC, scaled to CLOCK_MONOTONIC nanoseconds. Calibrated once at start
// by calibrate_clock(); afterwards any thread may read it without a system call. All of Sluice
// reads this clock, so its drift from the kernel's (a few ppm) never shows in a difference.
#pragma once

#include <x86intrin.h>
#include <cstdint>

namespace sluice {

inline uint64_t cycles_now() { return __rdtsc(); }

/// Measures the TSC against CLOCK_MONOTONIC for about 20 ms. Call once before any thread reads.
void calibrate_clock();

/// TSC cycles in one second; 0 before calibrate_clock().
uint64_t cycles_per_second();

/// Nanoseconds of CLOCK_MONOTONIC at TSC value `cycles`.
uint64_t monotonic_ns(uint64_t cycles);

inline uint64_t monotonic_ns_now() { return monotonic_ns(cycles_now()); }

/// Flow timers count in ticks of 100 ms since the clock was calibrated.
inline constexpr uint64_t tick_ns = 100'000'000;

}  // namespace sluice

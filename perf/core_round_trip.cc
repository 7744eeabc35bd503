#include "perf/core_round_trip.h"

#include <immintrin.h>
#include <rte_launch.h>

#include <atomic>
#include <cstdint>

#include "dataplane/base/clock.h"

namespace sluice::perf {
namespace {

constexpr uint32_t batches = 200;
constexpr uint32_t rounds = 400;

struct alignas(64) Ball {
  std::atomic<uint32_t> number{0};
};

/// The far side: answers odd numbers with the next even one.
int answer(void* context) {
  auto& ball = *static_cast<Ball*>(context);
  for (uint32_t next = 1; next <= 2 * batches * rounds; next += 2) {
    while (ball.number.load(std::memory_order_acquire) != next) _mm_pause();
    ball.number.store(next + 1, std::memory_order_release);
  }
  return 0;
}

}  // namespace

std::vector<double> core_round_trips_ns(unsigned lcore) {
  std::vector<double> found;
  Ball ball;
  if (rte_eal_remote_launch(answer, &ball, lcore) != 0) return found;
  uint32_t number = 0;
  for (uint32_t batch = 0; batch < batches; ++batch) {
    const uint64_t began_ns = monotonic_ns_now();
    for (uint32_t round = 0; round < rounds; ++round) {
      ball.number.store(number + 1, std::memory_order_release);
      number += 2;
      while (ball.number.load(std::memory_order_acquire) != number) _mm_pause();
    }
    found.push_back(static_cast<double>(monotonic_ns_now() - began_ns) / rounds);
  }
  rte_eal_wait_lcore(lcore);
  return found;
}

}  // namespace sluice::perf

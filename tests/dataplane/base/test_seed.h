// The seed of a randomised test: fixed, so that a run can be repeated, or SLUICE_TEST_SEED from the
// environment. Printed, and shown again when the test fails.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace sluice::test {

inline uint64_t test_seed() {
  const char* text = std::getenv("SLUICE_TEST_SEED");
  const uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 0) : 20'261'123;
  std::printf("SLUICE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

inline std::mt19937_64 test_random() { return std::mt19937_64(test_seed()); }

}  // namespace sluice::test

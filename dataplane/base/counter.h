// Counter: one writer thread, any number of readers. A relaxed load, add and store: no bus
// lock. Readers may see a value a moment old, never a torn one.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice {

class Counter {
 public:
  void add(uint64_t amount) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};
static_assert(sizeof(Counter) == 8);

}  // namespace sluice

// What the tests of flow share: aligned memory, random tuples of both families, a printed seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <random>
#include <span>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/hash.h"
#include "dataplane/base/tuple.h"

namespace sluice::flow {

/// SLUICE_SEED from the environment, else random; printed either way.
inline uint64_t test_seed() {
  const char* text = std::getenv("SLUICE_SEED");
  const uint64_t seed = text != nullptr
                            ? std::strtoull(text, nullptr, 0)
                            : uint64_t{std::random_device{}()} << 32 | std::random_device{}();
  std::printf("seed: SLUICE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

/// Cache-line aligned memory, full of garbage at first.
class Memory {
 public:
  explicit Memory(size_t bytes) : bytes_(bytes), data_(new(std::align_val_t{64}) std::byte[bytes]) {
    for (size_t i = 0; i < bytes; i += 64) data_[i] = std::byte{0xa5};
  }
  ~Memory() { ::operator delete[](data_, std::align_val_t{64}); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  std::span<std::byte> span() const { return {data_, bytes_}; }

 private:
  size_t bytes_;
  std::byte* data_;
};

using Random = std::mt19937_64;

inline HashKey random_key(Random& random) {
  HashKey key;
  store(key.bytes.data(), random());
  store(key.bytes.data() + 8, random());
  return key;
}

template <typename Tuple>
Tuple random_tuple(Random& random) {
  Tuple tuple;
  auto* bytes = reinterpret_cast<uint8_t*>(&tuple);
  for (size_t at = 0; at < sizeof(Tuple); at += 4) {
    store(bytes + at, static_cast<uint32_t>(random()));
  }
  return tuple;
}

/// A tuple that is unique by its number, with little else to tell it from its neighbours.
template <typename Tuple>
Tuple numbered_tuple(uint32_t number, uint16_t port) {
  Tuple tuple{};
  store_be32(&tuple.source, number);
  tuple.source_port = swap16(port);
  return tuple;
}

}  // namespace sluice::flow

#include "dataplane/base/hash.h"

#include <bit>
#include <cstring>

#include "dataplane/base/aes_hash.h"
#include "dataplane/base/byte_order.h"

namespace sluice {
namespace {

/// The four words of state, and the names of the paper (§2.1): v0..v3 from "somepseudorandomly...".
struct SipState {
  uint64_t v0, v1, v2, v3;

  explicit SipState(const HashKey& key) {
    const uint64_t k0 = load<uint64_t>(key.bytes.data());
    const uint64_t k1 = load<uint64_t>(key.bytes.data() + 8);
    v0 = k0 ^ 0x736f6d6570736575;
    v1 = k1 ^ 0x646f72616e646f6d;
    v2 = k0 ^ 0x6c7967656e657261;
    v3 = k1 ^ 0x7465646279746573;
  }

  void round() {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32) + v3;
    v2 += v1;
    v3 = std::rotl(v3, 21) ^ v0;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }

  void absorb(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }

  uint64_t finish() {
    v2 ^= 0xff;
    for (int i = 0; i < 4; ++i) round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

/// Always inlined, so that a length known at compile time leaves straight-line code.
[[gnu::always_inline]] inline uint64_t siphash(const HashKey& key, const uint8_t* bytes,
                                               size_t size) {
  SipState state(key);
  const size_t whole = size / 8 * 8;
  for (size_t at = 0; at < whole; at += 8) state.absorb(load<uint64_t>(bytes + at));
  uint64_t last = uint64_t{size & 0xff} << 56;
  for (size_t at = whole; at < size; ++at) last |= uint64_t{bytes[at]} << (8 * (at - whole));
  state.absorb(last);
  return state.finish();
}

/// The bytes that are hashed are copied, never read through a pointer of another type: a compiler
/// that trusts strict aliasing may otherwise drop the stores that filled the tuple.
template <typename Tuple>
uint64_t hash_tuple(const HashKey& key, const Tuple& tuple, uint8_t protocol) {
  uint8_t bytes[sizeof(Tuple) + 1];
  std::memcpy(bytes, &tuple, sizeof(Tuple));
  bytes[sizeof(Tuple)] = protocol;
  return siphash(key, bytes, sizeof(bytes));
}

}  // namespace

uint64_t siphash24(const HashKey& key, std::span<const uint8_t> data) {
  return siphash(key, data.data(), data.size());
}

uint64_t decision_hash(const HashKey& key, const Tuple4& tuple, uint8_t protocol) {
  return hash_tuple(key, tuple, protocol);
}

uint64_t decision_hash(const HashKey& key, const Tuple6& tuple, uint8_t protocol) {
  return hash_tuple(key, tuple, protocol);
}

AesHashKeys::AesHashKeys(const HashKey& key) {
  uint8_t counter = 0;
  for (auto& word : words) {
    for (size_t half = 0; half < 16; half += 8) {
      store(word.data() + half, siphash24(key, {&counter, 1}));
      ++counter;
    }
  }
}

}  // namespace sluice

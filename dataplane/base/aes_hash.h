// AesHash: the flow table's bucket hash. Three AES rounds under a key drawn at random when the
// process starts, so that nobody outside can aim flows at one bucket. Not a cipher and not stable
// between runs: what must agree between nodes uses SipHash (hash.h). Pure; any thread.
// Its scalar twin is aes_hash_scalar.h.
#pragma once

#include <immintrin.h>

#include <array>
#include <cstdint>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/hash.h"
#include "dataplane/base/tuple.h"

namespace sluice {

/// The 128-bit words that both twins use: word i is SipHash of 2i and of 2i + 1 under `key`.
struct AesHashKeys {
  static constexpr int count = 8;
  std::array<std::array<uint8_t, 16>, count> words;
  explicit AesHashKeys(const HashKey& key);
};

/// A key, expanded once. All 64 bits of a hash are good: use some for the bucket, others for the
/// tag. Two rounds stand between any two input words, because one round lets an attacker cancel
/// a difference with a chance of 2^-6 whatever the key; after two it is 2^-30 at the most.
class AesHash {
 public:
  explicit AesHash(const HashKey& key) {
    const AesHashKeys expanded(key);
    for (int i = 0; i < AesHashKeys::count; ++i) keys_[i] = load_word(expanded.words[i].data());
  }

  uint64_t operator()(const Tuple4& tuple, uint8_t protocol) const {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&tuple);
    const uint64_t low = load<uint64_t>(bytes);
    const uint64_t high = load<uint32_t>(bytes + 8) | uint64_t{protocol} << 32;
    __m128i state = _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(low));
    state = _mm_xor_si128(state, keys_[0]);
    state = _mm_aesenc_si128(state, keys_[1]);
    state = _mm_aesenc_si128(state, keys_[2]);
    state = _mm_aesenc_si128(state, keys_[3]);
    return static_cast<uint64_t>(_mm_cvtsi128_si64(state));
  }

  uint64_t operator()(const Tuple6& tuple, uint8_t protocol) const {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&tuple);
    const uint64_t rest = load<uint32_t>(bytes + 32) | uint64_t{protocol} << 32;
    __m128i source = _mm_xor_si128(load_word(bytes), keys_[0]);
    __m128i destination = _mm_xor_si128(load_word(bytes + 16), keys_[1]);
    __m128i ports = _mm_xor_si128(_mm_cvtsi64_si128(static_cast<int64_t>(rest)), keys_[2]);
    source = _mm_aesenc_si128(_mm_aesenc_si128(source, keys_[3]), keys_[4]);
    destination = _mm_aesenc_si128(_mm_aesenc_si128(destination, keys_[4]), keys_[5]);
    ports = _mm_aesenc_si128(_mm_aesenc_si128(ports, keys_[5]), keys_[3]);
    __m128i state = _mm_xor_si128(_mm_xor_si128(source, destination), ports);
    state = _mm_aesenc_si128(_mm_aesenc_si128(state, keys_[6]), keys_[7]);
    return static_cast<uint64_t>(_mm_cvtsi128_si64(state));
  }

 private:
  static __m128i load_word(const uint8_t* bytes) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  }

  __m128i keys_[AesHashKeys::count];
};

}  // namespace sluice

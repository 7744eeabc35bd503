// Bucket: one cache line of the flow index, 10 x (16-bit tag, 32-bit entry). Tag 0 means free, so
// zeroed memory is an empty index. Owned by one FlowTable. The tag compare is AVX2, with a scalar
// twin that tests compare it to.
#pragma once

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstdint>

namespace sluice::flow {

/// A record index whose top bit is the direction.
using BucketEntry = uint32_t;

struct alignas(64) Bucket {
  static constexpr unsigned slots = 10;

  std::array<uint16_t, slots> tags;        // 0: the slot is free
  std::array<BucketEntry, slots> entries;  // valid where the tag is not 0
  uint16_t occupied;                       // slots in use
  uint16_t overflow;  // entries whose primary bucket this is, but that live in their second one
};
static_assert(sizeof(Bucket) == 64);

/// Bit `2 * slot` is set where the tag equals `tag`. Two bits a slot: what the compare gives.
inline uint32_t match_tags(const Bucket& bucket, uint16_t tag) {
  // 32 bytes: the ten tags, and six halves of entries that the mask leaves out.
  const __m256i tags = _mm256_load_si256(reinterpret_cast<const __m256i*>(&bucket));
  const __m256i equal = _mm256_cmpeq_epi16(tags, _mm256_set1_epi16(static_cast<short>(tag)));
  return static_cast<uint32_t>(_mm256_movemask_epi8(equal)) & 0x5'5555u;
}

inline uint32_t match_tags_scalar(const Bucket& bucket, uint16_t tag) {
  uint32_t mask = 0;
  for (unsigned slot = 0; slot < Bucket::slots; ++slot) {
    if (bucket.tags[slot] == tag) mask |= 1u << (2 * slot);
  }
  return mask;
}

inline unsigned first_slot(uint32_t mask) {
  return static_cast<unsigned>(std::countr_zero(mask)) / 2;
}

}  // namespace sluice::flow

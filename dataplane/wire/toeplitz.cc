#include "dataplane/wire/toeplitz.h"

#include "dataplane/base/assert.h"

namespace sluice::wire {
namespace {

/// The 32 bits of `key` that begin at bit `at`, counted from the most significant of byte 0.
uint32_t key_window(std::span<const uint8_t> key, size_t at) {
  uint64_t five_bytes = 0;
  for (size_t i = 0; i < 5; ++i) {
    const size_t index = at / 8 + i;
    five_bytes = five_bytes << 8 | (index < key.size() ? key[index] : 0);
  }
  return static_cast<uint32_t>(five_bytes >> (8 - at % 8));
}

}  // namespace

Toeplitz::Toeplitz(std::span<const uint8_t> key) {
  SLUICE_ASSERT(key.size() >= input_bytes_max + 4);
  for (size_t byte = 0; byte < input_bytes_max; ++byte) {
    for (size_t value = 0; value < 256; ++value) {
      uint32_t part = 0;
      for (size_t bit = 0; bit < 8; ++bit) {
        if (value & (0x80u >> bit)) part ^= key_window(key, byte * 8 + bit);
      }
      parts_[byte][value] = part;
    }
  }
}

}  // namespace sluice::wire

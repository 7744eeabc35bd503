// Big-endian loads and stores at any alignment. Pure; any thread.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace sluice {

static_assert(std::endian::native == std::endian::little, "Sluice runs on little-endian machines");

/// Loads `T` as its bytes lie in memory, whatever the alignment.
template <typename T>
inline T load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <typename T>
inline void store(void* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

inline uint16_t swap16(uint16_t value) { return __builtin_bswap16(value); }
inline uint32_t swap32(uint32_t value) { return __builtin_bswap32(value); }

inline uint16_t load_be16(const void* from) { return swap16(load<uint16_t>(from)); }
inline uint32_t load_be32(const void* from) { return swap32(load<uint32_t>(from)); }
inline void store_be16(void* to, uint16_t value) { store(to, swap16(value)); }
inline void store_be32(void* to, uint32_t value) { store(to, swap32(value)); }

}  // namespace sluice

// Toeplitz: the hash that NICs spread flows over their queues with (Microsoft, "RSS hashing
// types"), in software: one table look-up per input byte. Built once per key; reading is pure and
// for any thread. The input is source address, destination address, source port, destination port
// as they lie in the packet, which is exactly the layout of Tuple4 and Tuple6.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/base/tuple.h"

namespace sluice::wire {

/// The 40-byte key of Microsoft's specification: the default where a device has none of its own.
inline constexpr std::array<uint8_t, 40> microsoft_rss_key = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

class Toeplitz {
 public:
  /// `key`: at least 40 bytes, as the device holds them; more (52 on some NICs) are not needed.
  explicit Toeplitz(std::span<const uint8_t> key);

  uint32_t hash(const Tuple4& tuple) const { return hash_bytes(tuple); }
  uint32_t hash(const Tuple6& tuple) const { return hash_bytes(tuple); }

  /// The hash is linear: hash(tuple) = hash(tuple with destination port 0) ^ this, and likewise for
  /// changing one port into another. `port` is raw (network order), as in the tuples.
  template <typename Tuple>
  uint32_t destination_port_part(uint16_t port) const {
    constexpr size_t at = offsetof(Tuple, destination_port);
    return parts_[at][port & 0xff] ^ parts_[at + 1][port >> 8];
  }

 private:
  static constexpr size_t input_bytes_max = sizeof(Tuple6);

  template <typename Tuple>
  uint32_t hash_bytes(const Tuple& tuple) const {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&tuple);
    uint32_t hash = 0;
#pragma GCC unroll 36
    for (size_t at = 0; at < sizeof(Tuple); ++at) hash ^= parts_[at][bytes[at]];
    return hash;
  }

  /// parts_[i][v]: what value v of input byte i adds to the hash. 36 KiB, of which IPv4 uses 12.
  std::array<std::array<uint32_t, 256>, input_bytes_max> parts_;
};

}  // namespace sluice::wire

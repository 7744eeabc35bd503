// The Internet checksum: full sums (RFC 1071) and incremental updates (RFC 1624). Pure; any thread.
// Everything here is in raw order: 16-bit values as they lie in memory. A one's complement sum
// does not mind the byte order as long as loads and stores agree, so nothing is ever swapped.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/tuple.h"

namespace sluice::wire {

/// Folds a sum into 16 bits with end-around carries. 0 only when every summand was 0.
/// Adding a word to itself with its halves swapped leaves their one's complement sum in the upper
/// half: the lower half's carry comes in there, which is the end-around one.
inline uint16_t fold(uint64_t sum) {
  const auto half = static_cast<uint32_t>((sum + std::rotr(sum, 32)) >> 32);
  return static_cast<uint16_t>((half + std::rotr(half, 16)) >> 16);
}

/// Adds `bytes` to `sum`; an odd last byte counts as if a zero followed (RFC 1071 §4.1). Only the
/// last of several pieces may have an odd size. Good for 2^32 words before it could overflow.
inline uint64_t sum_bytes(std::span<const uint8_t> bytes, uint64_t sum = 0) {
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    const uint64_t word = load<uint64_t>(at);
    sum += (word & 0xffff'ffff) + (word >> 32);
  }
  if (left >= 4) {
    sum += load<uint32_t>(at);
    at += 4;
    left -= 4;
  }
  if (left >= 2) {
    sum += load<uint16_t>(at);
    at += 2;
    left -= 2;
  }
  return left != 0 ? sum + *at : sum;
}

/// sum_bytes() of an IPv4 header without options, 20 bytes.
inline uint64_t sum_ipv4_header(const uint8_t* ip) {
  const auto first = load<uint64_t>(ip);
  const auto second = load<uint64_t>(ip + 8);
  return (first & 0xffff'ffff) + (first >> 32) + (second & 0xffff'ffff) + (second >> 32) +
         load<uint32_t>(ip + 16);
}

/// The checksum field that makes `sum` come out right; the field itself was summed as 0.
inline uint16_t finish_checksum(uint64_t sum) { return static_cast<uint16_t>(~fold(sum)); }

/// The pseudo header of TCP, UDP and ICMPv6 (RFC 9293 §3.1, RFC 8200 §8.1).
/// `l4_bytes`: header and payload; `protocol`: of the upper layer, whatever stands between.
inline uint64_t pseudo_header_sum(uint32_t source, uint32_t destination, uint8_t protocol,
                                  uint32_t l4_bytes) {
  return uint64_t{source} + destination + swap32(l4_bytes) + swap16(protocol);
}
inline uint64_t pseudo_header_sum(const std::array<uint8_t, 16>& source,
                                  const std::array<uint8_t, 16>& destination, uint8_t protocol,
                                  uint32_t l4_bytes) {
  return sum_bytes(destination, sum_bytes(source)) + swap32(l4_bytes) + swap16(protocol);
}

/// The change to a checksum when fields under it change: HC' = ~(~HC + ~m + m') (RFC 1624 eqn 3).
/// Replace every field, then apply. What is replaced must lie at an even offset of the summed data.
class ChecksumDelta {
 public:
  void replace16(uint16_t from, uint16_t to) {
    sum_ += uint64_t{static_cast<uint16_t>(~from)} + to;
  }
  void replace32(uint32_t from, uint32_t to) { sum_ += uint64_t{~from} + to; }
  void replace128(const std::array<uint8_t, 16>& from, const std::array<uint8_t, 16>& to) {
    for (size_t at = 0; at < 16; at += 4) {
      replace32(load<uint32_t>(from.data() + at), load<uint32_t>(to.data() + at));
    }
  }

  /// The new value of a checksum field. A field that was right and not 0xffff stays equal to what
  /// a full computation gives, bit for bit.
  uint16_t apply(uint16_t checksum) const {
    return static_cast<uint16_t>(~fold(sum_ + static_cast<uint16_t>(~checksum)));
  }

 private:
  uint64_t sum_ = 0;
};

/// Both addresses replaced: what changes in an IPv4 header checksum.
inline ChecksumDelta address_delta(const Tuple4& from, const Tuple4& to) {
  ChecksumDelta delta;
  delta.replace32(from.source, to.source);
  delta.replace32(from.destination, to.destination);
  return delta;
}
inline ChecksumDelta address_delta(const Tuple6& from, const Tuple6& to) {
  ChecksumDelta delta;
  delta.replace128(from.source, to.source);
  delta.replace128(from.destination, to.destination);
  return delta;
}

/// Addresses and ports replaced: what changes in a TCP or UDP checksum.
template <typename Tuple>
inline ChecksumDelta tuple_delta(const Tuple& from, const Tuple& to) {
  ChecksumDelta delta = address_delta(from, to);
  delta.replace16(from.source_port, to.source_port);
  delta.replace16(from.destination_port, to.destination_port);
  return delta;
}

}  // namespace sluice::wire

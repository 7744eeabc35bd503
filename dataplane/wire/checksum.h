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

/// The sum of two sums with the carry brought round to the other end (RFC 1071 §2 B, on 64 bits).
/// 0 only when both are 0; else it folds to what their exact sum folds to.
inline uint64_t add_around(uint64_t a, uint64_t b) {
  const uint64_t sum = a + b;
  return sum + static_cast<uint64_t>(sum < b);
}

/// An IPv4 header without options, 20 bytes: folds to what sum_bytes() of it folds to.
inline uint64_t sum_ipv4_header(const uint8_t* ip) {
  return add_around(add_around(load<uint64_t>(ip), load<uint64_t>(ip + 8)),
                    load<uint32_t>(ip + 16));
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
  void replace64(uint64_t from, uint64_t to) { add_halves(add_around(~from, to)); }
  void replace128(const uint8_t* from, const uint8_t* to) {
    const uint64_t front = add_around(~load<uint64_t>(from), load<uint64_t>(to));
    const uint64_t back = add_around(~load<uint64_t>(from + 8), load<uint64_t>(to + 8));
    add_halves(add_around(front, back));
  }
  /// A 16-bit field in raw order is one less than it was, and does not wrap.
  void decrement16() { sum_ += 0xfffe; }

  /// The new value of a checksum field. A field that was right and not 0xffff stays equal to what
  /// a full computation gives, bit for bit.
  uint16_t apply(uint16_t checksum) const {
    return static_cast<uint16_t>(~fold(sum_ + 0xffff - checksum));
  }

 private:
  /// Keeps sum_ far below 2^64, so that nothing else needs to look at carries.
  void add_halves(uint64_t sum) { sum_ += (sum & 0xffff'ffff) + (sum >> 32); }

  uint64_t sum_ = 0;
};

/// Both addresses replaced: what changes in an IPv4 header checksum.
inline ChecksumDelta address_delta(const Tuple4& from, const Tuple4& to) {
  ChecksumDelta delta;
  delta.replace64(load<uint64_t>(&from.source), load<uint64_t>(&to.source));
  return delta;
}
inline ChecksumDelta address_delta(const Tuple6& from, const Tuple6& to) {
  ChecksumDelta delta;
  delta.replace128(from.source.data(), to.source.data());
  delta.replace128(from.destination.data(), to.destination.data());
  return delta;
}

/// Both ports replaced, beside the addresses: what changes in a TCP or UDP checksum.
template <typename Tuple>
inline ChecksumDelta with_ports(ChecksumDelta delta, const Tuple& from, const Tuple& to) {
  delta.replace32(load<uint32_t>(&from.source_port), load<uint32_t>(&to.source_port));
  return delta;
}

}  // namespace sluice::wire

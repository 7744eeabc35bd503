// Burst: up to 32 packets on their way through the pipeline, as parallel arrays. Each stage reads
// what earlier stages wrote and adds its own column. Reused by one worker for every burst;
// clear() costs nothing per packet.
#pragma once

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "dataplane/base/assert.h"
#include "dataplane/base/verdict.h"
#include "dataplane/flow/flow_table.h"
#include "dataplane/forward/frame.h"
#include "dataplane/wire/parse.h"

namespace sluice::forward {

inline constexpr uint32_t burst_packets_max = 32;
/// A packet makes at most two replies: a RST to its sender and one to the other side.
inline constexpr uint32_t burst_replies_max = 2 * burst_packets_max;

/// Packet numbers of one kind within a burst: a bit each, so that going through them in order of
/// arrival needs no memory.
class PacketSet {
 public:
  void clear() { bits_ = 0; }
  void add(uint32_t index) { bits_ |= 1u << index; }
  bool empty() const { return bits_ == 0; }
  uint32_t size() const { return static_cast<uint32_t>(std::popcount(bits_)); }
  /// The one that arrived first. Precondition: not empty.
  uint32_t first() const { return static_cast<uint32_t>(std::countr_zero(bits_)); }
  /// Removes it, too.
  uint32_t take_first() {
    const uint32_t index = first();
    bits_ &= bits_ - 1;
    return index;
  }

 private:
  uint32_t bits_ = 0;
};

/// Packets of one address family, and those of them that a stage has set aside.
struct FamilyLists {
  PacketSet flows;      // TCP and UDP, owned by this worker
  PacketSet misses;     // without a flow, or about to leave it (port reuse)
  PacketSet unfetched;  // of `flows`: their records are not yet on the way (lookup.h)

  void clear() {
    flows.clear();
    misses.clear();
    unfetched.clear();
  }
};

struct Burst {
  uint32_t size = 0;
  bool handed_in = false;  // these packets came from other workers, which named this one owner
  uint32_t now_tick = 0;   // base/clock.h
  uint64_t now_ns = 0;     // CLOCK_MONOTONIC, one reading per burst
  uint64_t revision = 0;   // of the one snapshot that this burst is decided by
  uint32_t handed_on = 0;  // bit per packet that another worker gets, or is to send

  // Columns, by packet number.
  std::array<Frame, burst_packets_max> frames;
  std::array<wire::ParsedPacket, burst_packets_max> packets;
  std::array<uint64_t, burst_packets_max> hashes;
  std::array<flow::BucketEntry, burst_packets_max> candidates;  // what lookup.h has fetched
  std::array<flow::FlowMatch, burst_packets_max> matches;  // where follow() was not done at once
  std::array<Verdict, burst_packets_max> verdicts;
  std::array<uint16_t, burst_packets_max> owners;  // worker; of the packets in handed_on
  std::array<uint8_t, burst_packets_max> egress;   // port; of forwarded packets

  FamilyLists v4, v6;

  // RST and ICMP made while this burst was worked on; `port` of a reply is where it leaves.
  uint32_t reply_count = 0;
  std::array<Frame, burst_replies_max> replies;

  void clear() {
    size = 0;
    reply_count = 0;
    handed_on = 0;
    handed_in = false;
  }

  /// Packet `index` is for `owner` from now on, which counts it.
  void hand_on(uint32_t index, uint16_t owner) {
    handed_on |= 1u << index;
    owners[index] = owner;
    verdicts[index] = Verdict::none;
  }
  bool is_handed_on(uint32_t index) const { return (handed_on >> index & 1) != 0; }

  /// Bit per packet of the burst.
  uint32_t received() const { return static_cast<uint32_t>((uint64_t{1} << size) - 1); }

  /// Bit per packet of the burst whose verdict is `verdict`.
  uint32_t packets_with(Verdict verdict) const {
    static_assert(burst_packets_max == sizeof(__m256i) && sizeof(Verdict) == 1);
    const __m256i all = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(verdicts.data()));
    const __m256i equal = _mm256_cmpeq_epi8(all, _mm256_set1_epi8(static_cast<char>(verdict)));
    return static_cast<uint32_t>(_mm256_movemask_epi8(equal)) & received();
  }
  /// Its twin, for tests.
  uint32_t packets_with_scalar(Verdict verdict) const {
    uint32_t packets = 0;
    for (uint32_t i = 0; i < size; ++i) packets |= uint32_t{verdicts[i] == verdict} << i;
    return packets;
  }

  /// Appends a received frame; at most burst_packets_max.
  void add(const Frame& frame) {
    SLUICE_DEBUG_ASSERT(size < burst_packets_max);
    frames[size++] = frame;
  }

  template <typename Tuple>
  FamilyLists& lists() {
    if constexpr (Tuple::family == Family::v4) {
      return v4;
    } else {
      return v6;
    }
  }

  template <typename Tuple>
  const Tuple& tuple(uint32_t index) const {
    if constexpr (Tuple::family == Family::v4) {
      return packets[index].v4;
    } else {
      return packets[index].v6;
    }
  }
};

}  // namespace sluice::forward

// FlowTable: one worker's connections of one family. Two-choice buckets of one cache line hold
// (16-bit tag, record index) for both directions of a flow; records are compared by full key.
// Fixed size: memory is given at start, nothing is allocated after. Not thread-safe: one worker.
//
// Staged use over a burst: hash → prefetch_bucket → prefetch_record → holds, or else find.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/base/aes_hash.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/byte_order.h"
#include "dataplane/base/choose.h"
#include "dataplane/base/hash.h"
#include "dataplane/flow/bucket.h"
#include "dataplane/flow/flow_record.h"

namespace sluice::flow {

inline constexpr uint32_t flows_max_limit = 1u << 30;  // the index spends a bit on the direction

struct FlowMatch {
  uint32_t index = no_flow;
  Direction direction = Direction::from_client;
};

inline bool same_tuple(const Tuple4& a, const Tuple4& b) {
  return ((load<uint64_t>(&a.source) ^ load<uint64_t>(&b.source)) |
          (load<uint32_t>(&a.source_port) ^ load<uint32_t>(&b.source_port))) == 0;
}

inline bool same_tuple(const Tuple6& a, const Tuple6& b) {
  const auto differ = [&](size_t at) {
    return load<uint64_t>(a.source.data() + at) ^ load<uint64_t>(b.source.data() + at);
  };
  const auto* a_destination = a.destination.data();
  const auto* b_destination = b.destination.data();
  return (differ(0) | differ(8) | (load<uint64_t>(a_destination) ^ load<uint64_t>(b_destination)) |
          (load<uint64_t>(a_destination + 8) ^ load<uint64_t>(b_destination + 8)) |
          (load<uint32_t>(&a.source_port) ^ load<uint32_t>(&b.source_port))) == 0;
}

template <typename Tuple>
class FlowTable {
 public:
  using Record = FlowRecord<Tuple>;

  /// Bytes that `FlowTable` needs for `flows_max` connections (64-byte aligned memory).
  /// 1 <= flows_max <= flows_max_limit. Records first, then the index: 84 bytes a flow for IPv4,
  /// 148 for IPv6.
  static size_t memory_bytes(uint32_t flows_max);

  /// `memory` stays the caller's and outlives the table; `key` is drawn at random at start.
  /// Writes all of it, so that no page fault is left for the packet path.
  FlowTable(std::span<std::byte> memory, uint32_t flows_max, const HashKey& key);
  FlowTable(const FlowTable&) = delete;
  FlowTable& operator=(const FlowTable&) = delete;

  uint64_t hash(const Tuple& tuple, uint8_t protocol) const { return hasher_(tuple, protocol); }

  // The prefetches must be inlined: g++ 12 takes a call of such a function for one without effect
  // and drops it, and with it a third of the speed at a million flows.
  [[gnu::always_inline]] inline void prefetch_bucket(uint64_t hash) const {
    __builtin_prefetch(&buckets_[primary(hash)]);
  }

  /// After prefetch_bucket: prefetches the first record whose tag matches, and returns its entry
  /// for find(). Without one: no_flow, and the second bucket is prefetched when the key may be
  /// there.
  [[gnu::always_inline]] inline BucketEntry prefetch_record(uint64_t hash) const {
    const Bucket& bucket = buckets_[primary(hash)];
    const uint32_t mask = match_tags(bucket, tag(hash));
    if (mask != 0) [[likely]] {
      const BucketEntry entry = bucket.entries[first_slot(mask)];
      const auto* record = &records_[entry & index_mask];
      __builtin_prefetch(record);
      if constexpr (sizeof(Record) > 64) {
        __builtin_prefetch(reinterpret_cast<const std::byte*>(record) + 64);
      }
      return entry;
    }
    if (bucket.overflow != 0) __builtin_prefetch(&buckets_[secondary(hash)]);
    return no_flow;
  }

  /// Whether this entry, which prefetch_record() gave, is the one of `tuple`. Flows may have been
  /// erased in between: a freed record has protocol 0 and holds nothing.
  [[gnu::always_inline]] inline bool holds(BucketEntry entry, const Tuple& tuple,
                                           uint8_t protocol) const {
    const Record& record = records_[entry & index_mask];
    const Tuple& key =
        *choose((entry & direction_bit) != 0, &record.from_backend, &record.from_client);
    return same_tuple(key, tuple) && record.protocol == protocol;
  }

  static FlowMatch match_of(BucketEntry entry) {
    return {entry & index_mask, static_cast<Direction>(entry >> 31)};
  }

  FlowMatch find(const Tuple& tuple, uint8_t protocol, uint64_t hash) const {
    const Bucket& bucket = buckets_[primary(hash)];
    const FlowMatch match = find_in(bucket, tuple, protocol, tag(hash));
    if (match.index != no_flow || bucket.overflow == 0) [[likely]]
      return match;
    return find_in(buckets_[secondary(hash)], tuple, protocol, tag(hash));
  }

  /// Takes a record and indexes both tuples. no_flow when there is no room, or when
  /// `from_backend` is already in use (check with find first); the caller has seen that
  /// `from_client` is not. The record's key, protocol are set, everything else is zero.
  uint32_t insert(const Tuple& from_client, uint64_t client_hash, const Tuple& from_backend,
                  uint64_t backend_hash, uint8_t protocol);

  /// The record's state becomes `free`; its index may be given out by the next insert.
  void erase(uint32_t index);

  /// What erase() of this record will touch. Worth it when other work comes between.
  void prefetch_erase(uint32_t index) const {
    prefetch_bucket(hash_of(index));
    prefetch_bucket(hash_of(index | direction_bit));
  }

  Record& operator[](uint32_t index) { return records_[index]; }
  const Record& operator[](uint32_t index) const { return records_[index]; }
  Record* records() { return records_; }
  uint32_t size() const { return size_; }
  uint32_t capacity() const { return capacity_; }
  /// No record at or above this index was ever used: scans stop here.
  uint32_t high_water() const { return high_water_; }
  /// Inserts that failed although a record was free: both buckets of a key and all that their
  /// entries could move to were full.
  uint64_t collisions() const { return collisions_; }
  /// Entries that had to move to their other bucket to make room for another's.
  uint64_t displaced() const { return displaced_; }
  /// Entries that live in their second bucket now. Walks the whole index: cold.
  uint64_t overflowed() const;

 private:
  static constexpr uint32_t direction_bit = 1u << 31;
  static constexpr uint32_t index_mask = direction_bit - 1;

  /// Never 0, which means free.
  static uint16_t tag(uint64_t hash) { return static_cast<uint16_t>(hash | 1); }
  /// Scales the high half of the hash to a bucket (Lemire's multiply instead of a division).
  uint32_t primary(uint64_t hash) const { return scale(hash >> 32); }
  /// Never the primary bucket, and independent of it: the other half, mixed once more.
  uint32_t secondary(uint64_t hash) const {
    const uint32_t bucket = scale((hash * 0x9e37'79b9'7f4a'7c15u) >> 32);
    if (bucket != primary(hash)) [[likely]]
      return bucket;
    return bucket + 1 == bucket_count_ ? 0 : bucket + 1;
  }
  uint32_t scale(uint64_t half) const {
    return static_cast<uint32_t>((half * bucket_count_) >> 32);
  }

  FlowMatch find_in(const Bucket& bucket, const Tuple& tuple, uint8_t protocol,
                    uint16_t wanted) const {
    for (uint32_t mask = match_tags(bucket, wanted); mask != 0; mask &= mask - 1) {
      const BucketEntry entry = bucket.entries[first_slot(mask)];
      if (holds(entry, tuple, protocol)) [[likely]]
        return match_of(entry);
    }
    return {};
  }

  uint64_t hash_of(BucketEntry entry) const {
    const Record& record = records_[entry & index_mask];
    return hash((entry & direction_bit) != 0 ? record.from_backend : record.from_client,
                record.protocol);
  }

  static uint32_t buckets_for(uint32_t flows_max);
  bool link(BucketEntry entry, uint64_t hash);
  void unlink(BucketEntry entry, uint64_t hash);
  bool make_room(uint32_t bucket);
  uint32_t take_record();
  void give_record(uint32_t index);

  Bucket* buckets_ = nullptr;
  Record* records_ = nullptr;
  uint32_t bucket_count_ = 0;
  uint32_t capacity_ = 0;
  uint32_t size_ = 0;
  uint32_t high_water_ = 0;
  uint32_t free_head_ = no_flow;  // chained through wheel_next
  uint64_t collisions_ = 0;
  uint64_t displaced_ = 0;
  AesHash hasher_;
};

extern template class FlowTable<Tuple4>;
extern template class FlowTable<Tuple6>;

}  // namespace sluice::flow

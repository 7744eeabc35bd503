// FlowTable: one worker's connections of one family. Two-choice buckets of one cache line hold
// (16-bit tag, record index) for both directions of a flow; records are compared by full key.
// Fixed size: memory is given at start, nothing is allocated after. Not thread-safe: one worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/base/hash.h"
#include "dataplane/flow/flow_record.h"

namespace sluice::flow {

struct FlowMatch {
  uint32_t index = no_flow;
  Direction direction = Direction::from_client;
};

template <typename Tuple>
class FlowTable {
 public:
  using Record = FlowRecord<Tuple>;

  /// Bytes that `FlowTable` needs for `flows_max` connections (64-byte aligned memory).
  static size_t memory_bytes(uint32_t flows_max);

  /// `memory` stays the caller's and outlives the table; `key` is drawn at random at start.
  FlowTable(std::span<std::byte> memory, uint32_t flows_max, const HashKey& key);

  uint64_t hash(const Tuple& tuple, uint8_t protocol) const;
  void prefetch_bucket(uint64_t hash) const;
  /// After prefetch_bucket: prefetches the first record whose tag matches.
  void prefetch_record(uint64_t hash) const;
  FlowMatch find(const Tuple& tuple, uint8_t protocol, uint64_t hash) const;

  /// Takes a record and indexes both tuples. no_flow when there is no room, or when
  /// `from_backend` is already in use (check with find first). The record's key, protocol are set,
  /// everything else is zero.
  uint32_t insert(const Tuple& from_client, uint64_t client_hash, const Tuple& from_backend,
                  uint64_t backend_hash, uint8_t protocol);
  void erase(uint32_t index);

  Record& operator[](uint32_t index);
  const Record& operator[](uint32_t index) const;
  uint32_t size() const;
  uint32_t capacity() const;
};

}  // namespace sluice::flow

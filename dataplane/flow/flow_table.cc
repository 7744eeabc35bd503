#include "dataplane/flow/flow_table.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace sluice::flow {
namespace {

// Two entries a flow, 6.4 of 10 slots in use when the table is full: one flow costs 20 bytes of
// index, and no insert fails (the fill tests), because an entry of a full bucket can move.
constexpr uint64_t slots_used_per_mille = 640;

void put(Bucket& bucket, uint16_t tag, BucketEntry entry) {
  const unsigned slot = first_slot(match_tags(bucket, 0));
  bucket.tags[slot] = tag;
  bucket.entries[slot] = entry;
  ++bucket.occupied;
}

/// False when the entry is not in this bucket.
bool take(Bucket& bucket, uint16_t tag, BucketEntry entry) {
  for (uint32_t mask = match_tags(bucket, tag); mask != 0; mask &= mask - 1) {
    const unsigned slot = first_slot(mask);
    if (bucket.entries[slot] != entry) continue;
    bucket.tags[slot] = 0;
    --bucket.occupied;
    return true;
  }
  return false;
}

}  // namespace

template <typename Tuple>
uint32_t FlowTable<Tuple>::buckets_for(uint32_t flows_max) {
  const uint64_t slots = uint64_t{2} * flows_max * 1000 / slots_used_per_mille;
  return static_cast<uint32_t>(std::max<uint64_t>(slots / Bucket::slots + 1, 4));
}

template <typename Tuple>
size_t FlowTable<Tuple>::memory_bytes(uint32_t flows_max) {
  return size_t{flows_max} * sizeof(Record) + size_t{buckets_for(flows_max)} * sizeof(Bucket);
}

template <typename Tuple>
FlowTable<Tuple>::FlowTable(std::span<std::byte> memory, uint32_t flows_max, const HashKey& key)
    : bucket_count_(buckets_for(flows_max)), capacity_(flows_max), hasher_(key) {
  SLUICE_ASSERT(flows_max >= 1 && flows_max <= flows_max_limit);
  SLUICE_ASSERT(memory.size() >= memory_bytes(flows_max));
  SLUICE_ASSERT(reinterpret_cast<uintptr_t>(memory.data()) % 64 == 0);
  std::memset(memory.data(), 0, memory_bytes(flows_max));
  records_ = reinterpret_cast<Record*>(memory.data());
  buckets_ = reinterpret_cast<Bucket*>(memory.data() + size_t{flows_max} * sizeof(Record));
}

template <typename Tuple>
uint32_t FlowTable<Tuple>::take_record() {
  if (free_head_ != no_flow) {
    const uint32_t index = free_head_;
    free_head_ = records_[index].wheel_next;
    return index;
  }
  return high_water_ < capacity_ ? high_water_++ : no_flow;
}

template <typename Tuple>
void FlowTable<Tuple>::give_record(uint32_t index) {
  records_[index].state = FlowState::free;
  records_[index].protocol = 0;
  records_[index].wheel_next = free_head_;
  free_head_ = index;
}

/// Moves one entry of a full bucket to its other bucket (one step of cuckoo hashing). Reads at
/// most ten records, mostly one; a full table needs it for one insert in a hundred.
template <typename Tuple>
bool FlowTable<Tuple>::make_room(uint32_t bucket) {
  Bucket& full = buckets_[bucket];
  for (unsigned slot = 0; slot < Bucket::slots; ++slot) {
    const BucketEntry entry = full.entries[slot];
    const uint64_t hash = hash_of(entry);
    const bool at_home = primary(hash) == bucket;
    Bucket& other = buckets_[at_home ? secondary(hash) : primary(hash)];
    if (other.occupied == Bucket::slots) continue;
    take(full, tag(hash), entry);
    put(other, tag(hash), entry);
    if (at_home) {
      ++full.overflow;
    } else {
      --other.overflow;
    }
    ++displaced_;
    return true;
  }
  return false;
}

/// The primary bucket while it has room, because a lookup that ends there reads one line. In a
/// table that has been full for long 6 to 9 % of the entries live in their second bucket; when it
/// takes the emptier of the two once the primary holds eight, the classical rule, 17 to 24 % do.
template <typename Tuple>
bool FlowTable<Tuple>::link(BucketEntry entry, uint64_t hash) {
  Bucket& first = buckets_[primary(hash)];
  Bucket& second = buckets_[secondary(hash)];
  if (first.occupied == Bucket::slots && second.occupied == Bucket::slots) [[unlikely]] {
    if (!make_room(primary(hash)) && !make_room(secondary(hash))) return false;
  }
  if (first.occupied < Bucket::slots) [[likely]] {
    put(first, tag(hash), entry);
  } else {
    put(second, tag(hash), entry);
    ++first.overflow;
  }
  return true;
}

template <typename Tuple>
void FlowTable<Tuple>::unlink(BucketEntry entry, uint64_t hash) {
  Bucket& first = buckets_[primary(hash)];
  if (take(first, tag(hash), entry)) [[likely]]
    return;
  [[maybe_unused]] const bool found = take(buckets_[secondary(hash)], tag(hash), entry);
  SLUICE_DEBUG_ASSERT(found && first.overflow > 0);
  --first.overflow;
}

template <typename Tuple>
uint32_t FlowTable<Tuple>::insert(const Tuple& from_client, uint64_t client_hash,
                                  const Tuple& from_backend, uint64_t backend_hash,
                                  uint8_t protocol) {
  SLUICE_DEBUG_ASSERT(find(from_client, protocol, client_hash).index == no_flow);
  if (find(from_backend, protocol, backend_hash).index != no_flow) return no_flow;
  const uint32_t index = take_record();
  if (index == no_flow) return no_flow;
  Record& record = records_[index];
  record = Record{};
  record.from_client = from_client;
  record.from_backend = from_backend;
  record.protocol = protocol;
  const bool client_linked = link(index, client_hash);
  if (!client_linked || !link(index | direction_bit, backend_hash)) [[unlikely]] {
    if (client_linked) unlink(index, client_hash);
    give_record(index);
    ++collisions_;
    return no_flow;
  }
  ++size_;
  return index;
}

template <typename Tuple>
void FlowTable<Tuple>::erase(uint32_t index) {
  SLUICE_DEBUG_ASSERT(index < high_water_ && records_[index].state != FlowState::free);
  unlink(index, hash_of(index));
  unlink(index | direction_bit, hash_of(index | direction_bit));
  give_record(index);
  --size_;
}

template <typename Tuple>
uint64_t FlowTable<Tuple>::overflowed() const {
  uint64_t entries = 0;
  for (uint32_t bucket = 0; bucket < bucket_count_; ++bucket) entries += buckets_[bucket].overflow;
  return entries;
}

template class FlowTable<Tuple4>;
template class FlowTable<Tuple6>;

}  // namespace sluice::flow

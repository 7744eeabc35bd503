// lookup: from a tuple to its flow, in steps that fetch the cache lines which the next step reads.
// A flow costs two misses, its bucket and its record. classify() begins with the bucket while it
// parses, and with the first records once their buckets are there; follow() keeps record_lead
// flows or more ahead of itself. So memory is busy all the time, and work goes on meanwhile.
#pragma once

#include "dataplane/forward/burst.h"
#include "dataplane/worker_state.h"

namespace sluice::dataplane {

/// Flows between the fetch of a bucket and its first use: 12 packets take longer to parse than a
/// line takes to come from memory.
inline constexpr uint32_t bucket_lead = 12;
/// Flows between the fetch of a record and its use, at least.
inline constexpr uint32_t record_lead = 10;
/// Records that are fetched in one go.
inline constexpr uint32_t record_group = 4;

/// Hashes packet `index` and begins to fetch its bucket.
template <typename Tuple>
[[gnu::always_inline]] inline void begin_lookup(forward::Burst& burst, uint32_t index,
                                                const WorkerState& state) {
  const auto& table = state.connections<Tuple>().table();
  burst.hashes[index] = table.hash(burst.tuple<Tuple>(index), burst.packets[index].protocol);
  table.prefetch_bucket(burst.hashes[index]);
}

/// Begins to fetch the record of packet `index`, whose bucket has come.
template <typename Tuple>
[[gnu::always_inline]] inline void fetch_record(forward::Burst& burst, uint32_t index,
                                                const flow::FlowTable<Tuple>& table) {
  burst.candidates[index] = table.prefetch_record(burst.hashes[index]);
}

/// Whether what fetch_record() has fetched is the flow of packet `index`: nearly always.
template <typename Tuple>
[[gnu::always_inline]] inline bool is_candidate(const forward::Burst& burst, uint32_t index,
                                                const flow::FlowTable<Tuple>& table) {
  const flow::BucketEntry candidate = burst.candidates[index];
  return candidate != flow::no_flow &&
         table.holds(candidate, burst.tuple<Tuple>(index), burst.packets[index].protocol);
}

/// The flow of packet `index`, wherever it is, or no_flow. After begin_lookup.
template <typename Tuple>
inline flow::FlowMatch find_flow(const forward::Burst& burst, uint32_t index,
                                 const flow::FlowTable<Tuple>& table) {
  return table.find(burst.tuple<Tuple>(index), burst.packets[index].protocol, burst.hashes[index]);
}

}  // namespace sluice::dataplane

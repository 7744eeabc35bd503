// lookup: from a tuple to its flow, in steps that fetch the cache lines which the next step reads.
// A flow costs two misses, its bucket and its record. classify() begins with the bucket while it
// parses, and with the first records once their buckets are there; follow() keeps record_lead
// flows ahead of itself. So memory is busy all the time, and work goes on meanwhile.
#pragma once

#include "dataplane/forward/burst.h"
#include "dataplane/worker_state.h"

namespace sluice::dataplane {

/// Flows between the fetch of a bucket and its first use: 12 packets take longer to parse than a
/// line takes to come from memory.
inline constexpr uint32_t bucket_lead = 12;
/// Flows between the fetch of a record and its use.
inline constexpr uint32_t record_lead = 10;

/// Hashes packet `index` and begins to fetch its bucket.
template <typename Tuple>
[[gnu::always_inline]] inline void begin_lookup(forward::Burst& burst, uint32_t index,
                                                const WorkerState& state) {
  const auto& table = state.connections<Tuple>().table();
  burst.hashes[index] = table.hash(burst.tuple<Tuple>(index), burst.packets[index].protocol);
  table.prefetch_bucket(burst.hashes[index]);
}

/// Begins to fetch the record of the first flow in the list that has not got that far.
/// Precondition: lists<Tuple>().fetched < flows.size().
template <typename Tuple>
[[gnu::always_inline]] inline void fetch_record(forward::Burst& burst, const WorkerState& state) {
  forward::FamilyLists& lists = burst.lists<Tuple>();
  const uint8_t index = lists.flows[lists.fetched++];
  burst.candidates[index] = state.connections<Tuple>().table().prefetch_record(burst.hashes[index]);
}

/// The flow of packet `index`, or no_flow. After begin_lookup, fetch_record and, better, some time.
template <typename Tuple>
[[gnu::always_inline]] inline flow::FlowMatch find_flow(const forward::Burst& burst, uint32_t index,
                                                        const WorkerState& state) {
  return state.connections<Tuple>().table().find(burst.tuple<Tuple>(index),
                                                 burst.packets[index].protocol, burst.hashes[index],
                                                 burst.candidates[index]);
}

}  // namespace sluice::dataplane

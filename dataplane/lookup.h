// lookup: the stages between a tuple and its flow. Each loop fetches the cache lines that the
// next one reads, so that the misses of a whole burst overlap: hash and bucket, record, compare.
#pragma once

#include "dataplane/forward/burst.h"
#include "dataplane/worker_state.h"

namespace sluice::dataplane {

template <typename Tuple>
inline void hash_flows(forward::Burst& burst, WorkerState& state) {
  const auto& table = state.connections<Tuple>().table();
  for (const uint32_t i : burst.lists<Tuple>().flows) {
    burst.hashes[i] = table.hash(burst.tuple<Tuple>(i), burst.packets[i].protocol);
    table.prefetch_bucket(burst.hashes[i]);
  }
}

template <typename Tuple>
inline void prefetch_flows(forward::Burst& burst, WorkerState& state) {
  const auto& table = state.connections<Tuple>().table();
  for (const uint32_t i : burst.lists<Tuple>().flows) table.prefetch_record(burst.hashes[i]);
}

/// Afterwards burst.matches holds the flow of every packet in lists().flows, or no_flow.
template <typename Tuple>
inline void find_flows(forward::Burst& burst, WorkerState& state) {
  const auto& table = state.connections<Tuple>().table();
  for (const uint32_t i : burst.lists<Tuple>().flows) {
    burst.matches[i] =
        table.find(burst.tuple<Tuple>(i), burst.packets[i].protocol, burst.hashes[i]);
  }
}

}  // namespace sluice::dataplane

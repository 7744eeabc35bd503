// admit: packets without a flow. Finds the listener, decides pool and backend, takes a SNAT port,
// opens the flow and sends the packet on its way; or says why not. One packet after the other, in
// order of arrival, because an earlier one may have opened the flow of a later one.
#pragma once

#include "dataplane/forward/burst.h"
#include "dataplane/model/snapshot.h"
#include "dataplane/worker_state.h"

namespace sluice::dataplane {

/// An established connection that has been silent for so long (10 s) may be ended to make room in
/// a full table; younger ones are kept, and the new connection is dropped.
inline constexpr uint32_t evictable_idle_ticks_min = 100;

/// The stage: gives a verdict to every packet in lists().misses; rewrites those that leave.
template <typename Tuple>
void admit(forward::Burst& burst, const model::Snapshot& snapshot, WorkerState& state);

}  // namespace sluice::dataplane

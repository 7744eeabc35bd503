// pipeline: from received frames to verdicts and rewritten frames. DPDK-free: the worker runs it on
// mbufs, tests and the fuzzer on heap buffers. pipeline.cc is the only place that knows the order
// of the stages. One worker.
#pragma once

#include "dataplane/forward/burst.h"
#include "dataplane/model/snapshot.h"
#include "dataplane/worker_state.h"

namespace sluice::dataplane {

/// Works on burst.frames[0, size). Set size, now_ns, now_tick and handed_in before. Afterwards each
/// packet has either a verdict (forwarded ones also burst.egress, and their bytes are ready to be
/// sent), or an owner elsewhere (burst.handed_on) and its bytes as they came. Replies wait in
/// burst.replies. Touches nothing of `snapshot` after it returns.
void run_pipeline(forward::Burst& burst, const model::Snapshot& snapshot, WorkerState& state);

/// Counts the verdicts once the worker has dealt with the burst, and may have changed some of them
/// (tx_full, punt_full, handoff_full). Asserts that every packet has exactly one verdict, here or
/// at its owner: size == forward + punt + drop + handed on.
void account(const forward::Burst& burst, WorkerState& state);

}  // namespace sluice::dataplane

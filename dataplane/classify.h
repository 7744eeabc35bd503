// classify: the first stage. Parses every frame, gives verdicts to what no flow can be made of,
// names the owner of what belongs to another worker, and sorts the rest by address family.
#pragma once

#include "dataplane/forward/burst.h"
#include "dataplane/model/snapshot.h"
#include "dataplane/worker_state.h"

namespace sluice::dataplane {

/// Afterwards every packet has a verdict, or an owner elsewhere, or stands in lists().flows.
void classify(forward::Burst& burst, const model::Snapshot& snapshot, const WorkerState& state);

}  // namespace sluice::dataplane

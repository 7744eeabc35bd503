// decide(): which pool and backend a new flow gets. Pure: the same tuple and snapshot give the
// same answer on every worker, and in `sluice explain`, which calls this very function.
#pragma once

#include <cstdint>

#include "dataplane/base/verdict.h"
#include "dataplane/model/snapshot.h"

namespace sluice::model {

struct Decision {
  Verdict verdict = Verdict::none;  // none: a backend was chosen; else why not
  uint16_t ref = 0;                 // counter identity; valid unless verdict is no_rule
  uint16_t backend = no_backend;
  // For explain; the packet path ignores these.
  uint32_t route = 0, rule = 0;  // indexes
  uint32_t pool = 0;             // index into Snapshot::pools
  uint32_t slot = 0;             // of the slot table
  uint32_t maglev_slot = 0;
  uint64_t hash = 0;
};

Decision decide(const Snapshot& snapshot, const Listener& listener, const Tuple4& tuple);
Decision decide(const Snapshot& snapshot, const Listener& listener, const Tuple6& tuple);

}  // namespace sluice::model

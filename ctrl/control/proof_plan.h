// What a change is to prove: which pools must get nothing any more, whose connections must end,
// and what the published table says, read back from the snapshot itself. Pure; ctrl thread.
#pragma once

#include <map>

#include "ctrl/compile/registry.h"
#include "ctrl/config/config.h"
#include "ctrl/control/change.h"
#include "ctrl/control/closed_refs.h"
#include "ctrl/control/config_lookup.h"
#include "ctrl/control/proof.h"
#include "dataplane/model/snapshot.h"

namespace sluice::ctrl {

struct PlanInput {
  const Change& change;
  Existing existing = Existing::keep;
  const Config& before;
  const Config& after;
  const model::Snapshot& snapshot;  // compiled from `after`
  const Registry& registry;
  const ClosedRefs& closed;  // after `after` was taken up
  const std::map<BackendKey, uint16_t>& backend_ids;
};

/// Fills in all but asked_at, published_at and published_ns. The pools are those of the route
/// that the change is about, of the routes that it changes, or ("start", "verify" without a
/// route) all.
ProofPlan make_plan(const PlanInput& input);

/// Slots per entry of rule.pools, counted in the rule's table.
std::vector<uint32_t> count_slots(const model::Rule& rule);
/// The slots that the configured weights ask of the table that was published for `rule`.
std::vector<uint32_t> slots_asked(const RuleConfig& rule, const model::Rule& published,
                                  const PoolIndex& pools);

}  // namespace sluice::ctrl

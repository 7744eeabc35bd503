// Exact pool splits over 65,536 slots. The table depends only on the pools' names, their order
// and weights, never on history: every node of a fleet computes the same one. The first pool is
// the base; each other pool takes its share from its own keyed permutation of the slots, so that
// raising a weight keeps every slot the pool already had (monotone ramps).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "dataplane/model/snapshot.h"

namespace sluice::model {

struct WeightedPool {
  std::string_view name;
  uint32_t weight = 0;
};

/// Slots per pool by largest remainder; sums to slot_count when any weight is > 0. A pool with a
/// weight > 0 gets at least one slot; a pool of weight 0 gets none.
std::vector<uint32_t> slot_shares(std::span<const WeightedPool> pools);

/// Null when every weight is 0. At most pools_per_rule_max pools.
std::shared_ptr<const SlotTable> build_slot_table(std::span<const WeightedPool> pools);

}  // namespace sluice::model

// Weighted Maglev (Eisenbud et al., NSDI 2016, §3.4) with cumulative turns: a backend of twice
// the weight takes twice the turns, exactly, whatever the sum of weights. Permutations come from
// each backend's endpoint, so every node builds the same table. Cold; built off the workers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/model/snapshot.h"

namespace sluice::model {

struct MaglevMember {
  uint16_t backend = no_backend;  // id
  Endpoint endpoint;              // names the permutation
  uint32_t weight = 0;            // 0: not in the table
};

/// A backend's walk over the table: (first + j * skip) mod slots. A permutation, as `slots` is
/// prime.
struct MaglevWalk {
  uint32_t at = 0;
  uint32_t skip = 1;
};
MaglevWalk maglev_walk(const Endpoint& endpoint, uint32_t slots);

/// Slots: maglev_slots_small, or maglev_slots_large above maglev_small_backends_max members of
/// weight > 0. Empty when there is none.
std::shared_ptr<const MaglevTable> build_maglev(std::span<const MaglevMember> members);

}  // namespace sluice::model

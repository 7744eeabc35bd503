// How many clients a change would move from one pool to another, before it is made (--dry-run).
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/model/snapshot.h"

namespace sluice::ctrl {

struct MovedSlots {
  std::string route;
  uint32_t rule = 0;
  uint32_t slots_moved = 0;  // of model::slot_count
  double share() const { return double(slots_moved) / model::slot_count; }
};

/// Per rule of `before` whose slots change pool in `after`. A rule that is no longer there moves
/// all its slots; a new rule moves none. Rules without a move are left out.
std::vector<MovedSlots> moved_slots(const model::Snapshot& before, const model::Snapshot& after);

}  // namespace sluice::ctrl

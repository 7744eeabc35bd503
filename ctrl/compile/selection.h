// Selection: which backends of a pool take new connections: configured, drained, checked and
// resolved, by tiers. The judgement behind both the tables and `sluice status`. Pure; ctrl thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ctrl/compile/compile.h"
#include "ctrl/compile/pool_status.h"
#include "ctrl/config/config.h"

namespace sluice::ctrl {

/// What is known about one backend of a pool.
struct BackendView {
  BackendState state = BackendState::up;
  model::NextHop next_hop;
};

/// One view per backend of `pool`, in its order.
std::vector<BackendView> view_backends(const PoolConfig& pool, const Observed& observed);

/// True when only what an operator or a health check says could keep connections away, and
/// neither does.
bool is_usable(const BackendConfig& backend, BackendState state);

struct Selection {
  uint8_t active_tier = 0;
  std::vector<uint32_t> members;  // indexes into the pool's backends; all of active_tier
  // The pool's panic policy, when too few backends of the tier are usable: spread is served by all
  // that are down too, fail by nobody. none: no panic.
  PanicPolicy panic = PanicPolicy::none;
  uint32_t usable = 0;      // of the tier
  uint32_t candidates = 0;  // of the tier: weight above 0, not drained
};

/// The backends of `family` in the lowest tier that has a usable one. While nothing of the family
/// is resolved yet, unresolved backends stand in for usable ones: the table is ready before the
/// kernel has answered, and packets until then are dropped as backend_unresolved, not refused.
Selection select_backends(const PoolConfig& pool, Family family,
                          std::span<const BackendView> views);

/// The weights of `members` for the table: as configured, unless one of them is in slow start.
/// Then all are multiplied, so that its part of its weight is a whole number.
std::vector<uint32_t> weights_of(const PoolConfig& pool, std::span<const uint32_t> members,
                                 const Observed& observed);

}  // namespace sluice::ctrl

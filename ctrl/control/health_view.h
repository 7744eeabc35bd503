// health_view(): the page of truth about health: for each backend the last result, why, since
// when, what comes next; for each pool its panic; and how the prober itself keeps up. ctrl thread.
#pragma once

#include <string>

#include "ctrl/control/controller.h"
#include "ctrl/control/rpc.h"

namespace sluice::ctrl {

inline constexpr uint64_t health_limit_max = 65'535;

/// All pools, or only `pool`; at most `limit` backends, then `more` is true. Fails when there is
/// no such pool.
Result<Json> health_view(const Controller& controller, const std::string& pool, uint64_t limit);

}  // namespace sluice::ctrl

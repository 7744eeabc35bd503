// What holds for everybody: freezes, the largest weight step, and which routes need a second
// person. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctrl/config/config.h"
#include "ctrl/govern/touched.h"

namespace sluice::ctrl {

/// Whether `freeze` is on at `unix_ms`.
bool is_on(const FreezeConfig& freeze, uint64_t unix_ms);

/// Why nothing touched may change now: a sentence that names the freeze; nothing when none is on.
std::optional<std::string> frozen(const std::vector<FreezeConfig>& freezes, const Touched& touched,
                                  uint64_t unix_ms);

/// Which policy's largest step a change oversteps, in a sentence. A pool that had at least half of
/// a rule's weight before may always have it back: taking a canary away is never too big a step.
std::optional<std::string> too_big_a_step(const Config& before, const Config& after);

/// Routes touched that need a second person, before the change or after it. Changing who governs
/// counts as touching all of them: otherwise whoever may edit roles could do without.
std::set<std::string> need_approval(const Config& before, const Config& after,
                                    const Touched& touched);

}  // namespace sluice::ctrl

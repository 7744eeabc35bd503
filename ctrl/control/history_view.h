// The answer of `history`: the generations, newest first, each with its proof's verdict.
// Reads the state directory; ctrl thread only.
#pragma once

#include <cstdint>

#include "ctrl/control/controller.h"

namespace sluice::ctrl {

inline constexpr uint64_t history_limit_max = 1000;

Json history_view(Controller& controller, uint64_t limit);

/// The verdict of a generation's proof: as it stands now when it is still watched, else as it was
/// kept; "not-proved" when sluiced ended before there was one.
Json verdict_of(Controller& controller, uint64_t generation);

}  // namespace sluice::ctrl

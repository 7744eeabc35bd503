// Finds keys of absurd depth ("a.a.a.a…") before the TOML library sees them: it nests one table per
// part, without a limit, and would run out of stack. Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

#include "ctrl/config/document.h"

namespace sluice::ctrl {

/// Where the first key with more than `parts_max` dotted parts begins, if any. Exact up to the
/// first syntax error of `text`; what follows that is never read.
std::optional<Place> find_deep_key(std::string_view text, int parts_max);

}  // namespace sluice::ctrl

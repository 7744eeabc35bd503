// TextGuard: what the TOML library must not see. It has undefined behaviour on characters outside
// ASCII where it looks for white space, and nests one table per part of a dotted key without a
// limit. A configuration needs neither, nor multi-line strings, which would hide both. Pure; any
// thread.
#pragma once

#include <optional>
#include <string_view>

#include "ctrl/config/document.h"

namespace sluice::ctrl {

/// The first of: a key with more than `key_parts_max` dotted parts, a multi-line string, a
/// character outside ASCII that is in no string and no comment. Exact up to the first syntax error
/// of `text`; what follows that is never read.
std::optional<DocumentError> find_hazard(std::string_view text, int key_parts_max);

}  // namespace sluice::ctrl

// `explain`: which backend a new connection would get, and why, by model::decide() on the
// published snapshot. ctrl thread only.
#pragma once

#include <string>

#include "ctrl/control/controller.h"

namespace sluice::ctrl {

/// `protocol` is "tcp" or "udp", the others are "ADDRESS:PORT" of one family. Fails on anything
/// else; "no listener there" is an answer, not a failure.
Result<Json> explain(const Controller& controller, const std::string& protocol,
                     const std::string& source, const std::string& destination);

}  // namespace sluice::ctrl

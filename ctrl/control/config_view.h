// The answer of `config.get`: what is configured, with what operators changed since. ctrl thread.
#pragma once

#include <string>

#include "ctrl/control/controller.h"

namespace sluice::ctrl {

/// {items: […]}; for kind "config": {text, file, overlay, generation}. `name` empty: all. A
/// backend's name is ADDRESS:PORT. Fails on an unknown kind, or a name that is not there.
Result<Json> config_view(const Controller& controller, const std::string& kind,
                         const std::string& name);

}  // namespace sluice::ctrl

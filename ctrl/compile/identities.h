// Identities: the ids that a configuration uses, claimed from the Registry all at once or not at
// all. ctrl thread only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ctrl/compile/registry.h"
#include "ctrl/config/config.h"
#include "dataplane/base/result.h"

namespace sluice::ctrl {

/// Ids in the order of the configuration.
struct Identities {
  std::vector<uint16_t> backends;  // of every pool, one after another
  std::vector<uint16_t> refs;      // of every rule of every route, one after another
};

/// Begins a configuration in `registry`. When it fails, the registry is as it was.
Result<Identities> claim_identities(const Config& config, Registry& registry);

}  // namespace sluice::ctrl

// The verbs, as functions from what is served to what is asked for. Pure: nothing is parsed,
// compiled or committed here; the errors are about the request itself.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ctrl/compile/registry.h"
#include "ctrl/config/config.h"
#include "ctrl/control/generation.h"
#include "dataplane/base/result.h"

namespace sluice::ctrl {

/// What a generation serves: a file as it was applied, and what operators changed since.
struct Content {
  std::string text;
  std::string file;
  Overlay overlay;
  Holders holders = {};
};

/// Whose connections `--existing drain|reset` is about.
enum class Scope : uint8_t {
  lost_weight,  // apply, rollback: pools that had traffic and lose it
  route,        // weight, switch: every pool of the route without weight
  pools,        // drain POOL
  backends,     // drain ADDRESS:PORT
};

struct Change {
  std::string verb;
  std::string route;  // the route that it is about; empty: several
  Content content;
  Scope scope = Scope::lost_weight;
  std::vector<std::string> pools;    // Scope::pools
  std::vector<BackendKey> backends;  // Scope::backends
};

Change apply_change(std::string text, std::string file);

/// Pools that are not named keep their weight. Fails on an unknown route, rule or pool, and when
/// no pool of the rule would have weight.
Result<Change> weight_change(const Content& now, const Config& config, const std::string& route,
                             uint32_t rule, const std::map<std::string, uint32_t>& weights);

/// In every rule of `route` that has `pool`: that pool 100, the others 0.
Result<Change> switch_change(const Content& now, const Config& config, const std::string& route,
                             const std::string& pool);

/// `target` is a pool's name or a backend's "ADDRESS:PORT" (in every pool that has it).
Result<Change> drain_change(const Content& now, const Config& config, const std::string& target,
                            bool undo);

Change rollback_change(const Generation& to);

/// Rules that serve nobody since every pool with weight is drained: one warning line each.
std::vector<std::string> warnings(const Config& config);

}  // namespace sluice::ctrl

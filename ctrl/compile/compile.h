// compile(): configuration + what the node has learned (health, next hops, ports) → Snapshot.
// Pure but for the Registry, which gives out identities. ctrl thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ctrl/compile/registry.h"
#include "ctrl/config/config.h"
#include "dataplane/base/result.h"
#include "dataplane/model/snapshot.h"

namespace sluice::ctrl {

/// What the node has learned and the configuration cannot say.
struct Observed {
  std::vector<model::Port> ports;                 // by port id
  std::map<IpAddress, model::NextHop> next_hops;  // by backend address
  std::set<BackendKey> down;                      // failed their health check
  std::map<BackendKey, uint8_t> slow_starts;      // percent of the weight that a backend gets now
  HashKey decision_key;
  uint64_t generation = 0;
  uint64_t revision = 0;
};

/// Parts of the previous snapshot are shared when they did not change; `previous` may be null.
/// Fails when the configuration needs more identities than there are (names which).
Result<std::shared_ptr<const model::Snapshot>> compile(const Config& config,
                                                       const Observed& observed, Registry& registry,
                                                       const model::Snapshot* previous);

}  // namespace sluice::ctrl

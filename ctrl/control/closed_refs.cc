#include "ctrl/control/closed_refs.h"

#include <set>

#include "ctrl/control/config_lookup.h"

namespace sluice::ctrl {

void ClosedRefs::update(const Config& config, const Registry& registry, uint64_t revision) {
  const PoolIndex pools(config);
  std::set<RefKey> open;
  for (const RouteConfig& route : config.routes) {
    for (uint32_t rule = 0; rule < route.rules.size(); rule++) {
      for (const PoolRefConfig& ref : route.rules[rule].backends) {
        if (is_open(pools, ref)) open.insert({route.name, rule, ref.pool});
      }
    }
  }
  for (const auto& [key, ref] : registry.refs()) {
    if (open.contains(key)) {
      since_.erase(ref);
    } else {
      since_.try_emplace(ref, revision);
    }
  }
}

uint64_t ClosedRefs::since(uint16_t ref) const {
  const auto at = since_.find(ref);
  return at == since_.end() ? 0 : at->second;
}

}  // namespace sluice::ctrl

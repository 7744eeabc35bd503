#include "ctrl/compile/pool_status.h"

#include <algorithm>

#include "ctrl/compile/selection.h"

namespace sluice::ctrl {
namespace {

PoolStatus status_of(const PoolConfig& pool, const Observed& observed, const Registry& registry) {
  PoolStatus status{.name = pool.name,
                    .service = pool.service,
                    .version = pool.version,
                    .health = pool.health.type,
                    .active_tier = 0,
                    .usable = 0,
                    .total = static_cast<uint32_t>(pool.backends.size()),
                    .panic = pool.panic,
                    .panic_active = PanicPolicy::none,
                    .backends = {}};
  const std::vector<BackendView> views = view_backends(pool, observed);
  std::vector<uint16_t> ids;
  registry.find_backends(pool, ids);
  for (size_t i = 0; i < pool.backends.size(); ++i) {
    const BackendConfig& backend = pool.backends[i];
    status.usable += is_usable(backend, views[i].state);
    status.backends.push_back({.endpoint = {backend.address, backend.port},
                               .weight = backend.weight,
                               .tier = backend.tier,
                               .zone = backend.zone,
                               .state = views[i].state,
                               .serving = false,
                               .weight_percent = 100,
                               .id = ids[i]});
  }
  for (const Family family : {Family::v4, Family::v6}) {
    const Selection selection = select_backends(pool, family, views);
    status.active_tier = std::max(status.active_tier, selection.active_tier);
    for (const uint32_t member : selection.members) status.backends[member].serving = true;
    if (selection.panic != PanicPolicy::none) status.panic_active = selection.panic;
  }
  for (auto at = observed.slow_starts.lower_bound({pool.name, {}});
       at != observed.slow_starts.end() && at->first.pool == pool.name; ++at) {
    const auto slow =
        std::ranges::find(status.backends, at->first.endpoint, &BackendStatus::endpoint);
    if (slow != status.backends.end()) slow->weight_percent = at->second;
  }
  return status;
}

}  // namespace

std::string_view to_string(BackendState state) {
  switch (state) {
    case BackendState::up:
      return "up";
    case BackendState::down:
      return "down";
    case BackendState::drained:
      return "drained";
    case BackendState::unresolved:
      return "unresolved";
    case BackendState::unchecked:
      return "unchecked";
  }
  return "";
}

std::vector<PoolStatus> pool_status(const Config& config, const Observed& observed,
                                    const Registry& registry) {
  std::vector<PoolStatus> pools;
  pools.reserve(config.pools.size());
  for (const PoolConfig& pool : config.pools) {
    pools.push_back(status_of(pool, observed, registry));
  }
  return pools;
}

}  // namespace sluice::ctrl

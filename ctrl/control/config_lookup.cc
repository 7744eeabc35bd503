#include "ctrl/control/config_lookup.h"

#include <algorithm>

namespace sluice::ctrl {
namespace {

template <typename Items>
auto find_named(const Items& items, std::string_view name) -> decltype(items.data()) {
  const auto at = std::ranges::find_if(items, [&](const auto& item) { return item.name == name; });
  return at == items.end() ? nullptr : &*at;
}

}  // namespace

const PoolConfig* find_pool(const Config& config, std::string_view name) {
  return find_named(config.pools, name);
}

const RouteConfig* find_route(const Config& config, std::string_view name) {
  return find_named(config.routes, name);
}

const BackendConfig* find_backend(const PoolConfig& pool, const Endpoint& endpoint) {
  const auto at = std::ranges::find_if(pool.backends, [&](const BackendConfig& backend) {
    return backend.address == endpoint.address && backend.port == endpoint.port;
  });
  return at == pool.backends.end() ? nullptr : &*at;
}

PoolIndex::PoolIndex(const Config& config) {
  for (const PoolConfig& pool : config.pools) by_name_.emplace(pool.name, &pool);
}

const PoolConfig* PoolIndex::find(std::string_view name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : at->second;
}

bool wholly_drained(const PoolConfig& pool) {
  return !pool.backends.empty() && std::ranges::all_of(pool.backends, &BackendConfig::drained);
}

bool is_open(const PoolIndex& pools, const PoolRefConfig& ref) {
  const PoolConfig* pool = pools.find(ref.pool);
  return ref.weight > 0 && pool != nullptr && !wholly_drained(*pool);
}

Config without_drained_pools(Config config) {
  const PoolIndex pools(config);
  for (RouteConfig& route : config.routes) {
    for (RuleConfig& rule : route.rules) {
      const auto open = [&](const PoolRefConfig& ref) { return is_open(pools, ref); };
      if (std::ranges::none_of(rule.backends, open)) continue;
      for (PoolRefConfig& ref : rule.backends) {
        if (!open(ref)) ref.weight = 0;
      }
    }
  }
  return config;
}

}  // namespace sluice::ctrl

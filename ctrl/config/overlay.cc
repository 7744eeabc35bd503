#include <fmt/format.h>

#include <algorithm>

#include "ctrl/config/config.h"
#include "ctrl/config/text.h"

namespace sluice::ctrl {
namespace {

template <typename Items>
auto find_by_name(Items& items, std::string_view name) {
  return std::ranges::find(items, name,
                           [](const auto& item) { return std::string_view(item.name); });
}

Status set_weight(RuleConfig& rule, const std::string& where, const std::string& pool,
                  uint32_t weight) {
  const auto ref = std::ranges::find(rule.backends, pool, &PoolRefConfig::pool);
  if (ref == rule.backends.end()) {
    return fail(fmt::format("{} has no pool {}", where, in_quotes(pool)));
  }
  if (weight > weight_max) {
    return fail(fmt::format("{}: the weight of pool {} must be an integer 0..{}, got {}", where,
                            in_quotes(pool), weight_max, weight));
  }
  ref->weight = weight;
  return {};
}

Status apply_weights(Config& config, const Overlay& overlay) {
  for (const auto& [route_name, rules] : overlay.weights) {
    const auto route = find_by_name(config.routes, route_name);
    if (route == config.routes.end()) {
      return fail(fmt::format("there is no route {}", in_quotes(route_name)));
    }
    for (const auto& [rule, weights] : rules) {
      if (rule >= route->rules.size()) {
        return fail(fmt::format("route {} has no rule {}, its rules are 0..{}",
                                in_quotes(route_name), rule, route->rules.size() - 1));
      }
      const std::string where = fmt::format("route {} rule {}", in_quotes(route_name), rule);
      for (const auto& [pool, weight] : weights) {
        if (auto done = set_weight(route->rules[rule], where, pool, weight); !done) return done;
      }
    }
  }
  return {};
}

Status apply_drains(Config& config, const Overlay& overlay) {
  for (const auto& [pool_name, endpoints] : overlay.drained) {
    const auto pool = find_by_name(config.pools, pool_name);
    if (pool == config.pools.end()) {
      return fail(fmt::format("there is no pool {}", in_quotes(pool_name)));
    }
    if (endpoints.empty()) {
      for (BackendConfig& backend : pool->backends) backend.drained = true;
    }
    for (const Endpoint& endpoint : endpoints) {
      const auto backend = std::ranges::find_if(pool->backends, [&](const BackendConfig& each) {
        return each.address == endpoint.address && each.port == endpoint.port;
      });
      if (backend == pool->backends.end()) {
        return fail(
            fmt::format("pool {} has no backend {}", in_quotes(pool_name), to_string(endpoint)));
      }
      backend->drained = true;
    }
  }
  return {};
}

}  // namespace

Result<Config> apply_overlay(Config config, const Overlay& overlay) {
  if (auto done = apply_weights(config, overlay); !done) return std::unexpected(done.error());
  if (auto done = apply_drains(config, overlay); !done) return std::unexpected(done.error());
  return config;
}

}  // namespace sluice::ctrl

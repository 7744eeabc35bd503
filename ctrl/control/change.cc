#include "ctrl/control/change.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ctrl/control/config_lookup.h"
#include "ctrl/health/check.h"

namespace sluice::ctrl {
namespace {

constexpr uint32_t switched_weight = 100;

std::string pool_names(const RuleConfig& rule) {
  std::vector<std::string> names;
  for (const PoolRefConfig& ref : rule.backends) names.push_back(ref.pool);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::unexpected<Error> no_route(const Config& config, const std::string& name) {
  std::vector<std::string> names;
  for (const RouteConfig& route : config.routes) names.push_back(route.name);
  return fail(fmt::format("there is no route {}; there is {}", name,
                          names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
}

std::vector<Endpoint> endpoints_of(const PoolConfig& pool) {
  std::vector<Endpoint> endpoints;
  for (const BackendConfig& backend : pool.backends) {
    endpoints.push_back({backend.address, backend.port});
  }
  return endpoints;
}

Result<Change> drain_pool(Change change, const std::string& pool, bool undo) {
  auto& drained = change.content.overlay.drained;
  change.scope = Scope::pools;
  change.pools = {pool};
  if (!undo) {
    drained[pool].clear();  // no endpoint: the whole pool
    return change;
  }
  if (drained.erase(pool) == 0) return fail(fmt::format("pool {} is not drained", pool));
  return change;
}

/// Takes one endpoint out of a pool's drains; false when it is not drained.
bool undrain(Overlay& overlay, const PoolConfig& pool, const Endpoint& endpoint) {
  const auto at = overlay.drained.find(pool.name);
  if (at == overlay.drained.end()) return false;
  if (at->second.empty()) at->second = endpoints_of(pool);  // the whole pool, spelled out
  const bool was_drained = std::erase(at->second, endpoint) > 0;
  if (at->second.empty()) overlay.drained.erase(at);
  return was_drained;
}

void drain_endpoint(Overlay& overlay, const PoolConfig& pool, const Endpoint& endpoint) {
  const auto [at, fresh] = overlay.drained.try_emplace(pool.name);
  const bool whole_pool = !fresh && at->second.empty();
  if (whole_pool || std::ranges::find(at->second, endpoint) != at->second.end()) return;
  at->second.push_back(endpoint);
}

Result<Change> drain_backend(Change change, const Config& config, const Endpoint& endpoint,
                             bool undo) {
  change.scope = Scope::backends;
  bool undone = false;
  for (const PoolConfig& pool : config.pools) {
    if (find_backend(pool, endpoint) == nullptr) continue;
    change.backends.push_back({pool.name, endpoint});
    if (undo) {
      undone |= undrain(change.content.overlay, pool, endpoint);
    } else {
      drain_endpoint(change.content.overlay, pool, endpoint);
    }
  }
  if (change.backends.empty()) {
    return fail(fmt::format("no pool has a backend {}", to_string(endpoint)));
  }
  if (undo && !undone) return fail(fmt::format("backend {} is not drained", to_string(endpoint)));
  return change;
}

}  // namespace

Change apply_change(std::string text, std::string file) {
  Change change{.verb = "apply",
                .route = {},
                .content = {std::move(text), std::move(file), {}},
                .scope = Scope::lost_weight,
                .pools = {},
                .backends = {}};
  return change;
}

Change rollback_change(const Generation& to) {
  Change change = apply_change(to.text, to.file);
  change.verb = "rollback";
  change.content.overlay = to.overlay;
  change.content.holders = to.holders;
  return change;
}

Result<Change> weight_change(const Content& now, const Config& config, const std::string& route,
                             uint32_t rule, const std::map<std::string, uint32_t>& weights) {
  const RouteConfig* found = find_route(config, route);
  if (found == nullptr) return no_route(config, route);
  if (rule >= found->rules.size()) {
    return fail(fmt::format("route {} has no rule {}; its rules are 0..{}", route, rule,
                            found->rules.size() - 1));
  }
  Change change{.verb = "weight",
                .route = route,
                .content = now,
                .scope = Scope::route,
                .pools = {},
                .backends = {}};
  const RuleConfig& of = found->rules[rule];
  for (const auto& [pool, weight] : weights) {
    if (std::ranges::find(of.backends, pool, &PoolRefConfig::pool) == of.backends.end()) {
      return fail(fmt::format("route {} rule {} has no pool {}; it has {}", route, rule, pool,
                              pool_names(of)));
    }
    change.content.overlay.weights[route][rule][pool] = weight;
  }
  const bool any = std::ranges::any_of(of.backends, [&](const PoolRefConfig& ref) {
    const auto set = weights.find(ref.pool);
    return (set == weights.end() ? ref.weight : set->second) > 0;
  });
  if (!any) {
    return fail(fmt::format("route {} rule {} would have no pool of weight above 0", route, rule));
  }
  return change;
}

Result<Change> switch_change(const Content& now, const Config& config, const std::string& route,
                             const std::string& pool) {
  const RouteConfig* found = find_route(config, route);
  if (found == nullptr) return no_route(config, route);
  Change change{.verb = "switch",
                .route = route,
                .content = now,
                .scope = Scope::route,
                .pools = {},
                .backends = {}};
  bool switched = false;
  for (uint32_t rule = 0; rule < found->rules.size(); rule++) {
    const auto& refs = found->rules[rule].backends;
    if (std::ranges::find(refs, pool, &PoolRefConfig::pool) == refs.end()) continue;
    switched = true;
    for (const PoolRefConfig& ref : refs) {
      change.content.overlay.weights[route][rule][ref.pool] =
          ref.pool == pool ? switched_weight : 0;
    }
  }
  if (!switched) {
    return fail(fmt::format("route {} has no pool {}; rule 0 has {}", route, pool,
                            found->rules.empty() ? "none" : pool_names(found->rules[0])));
  }
  return change;
}

Result<Change> drain_change(const Content& now, const Config& config, const std::string& target,
                            bool undo) {
  Change change{.verb = "drain",
                .route = {},
                .content = now,
                .scope = Scope::pools,
                .pools = {},
                .backends = {}};
  if (find_pool(config, target) != nullptr) return drain_pool(std::move(change), target, undo);
  const auto endpoint = parse_endpoint(target);
  if (!endpoint) {
    return fail(fmt::format("there is no pool {}; a backend is written ADDRESS:PORT", target));
  }
  return drain_backend(std::move(change), config, *endpoint, undo);
}

std::vector<std::string> warnings(const Config& config) {
  const PoolIndex pools(config);
  std::vector<std::string> lines;
  for (const RouteConfig& route : config.routes) {
    for (uint32_t rule = 0; rule < route.rules.size(); rule++) {
      const auto& refs = route.rules[rule].backends;
      if (std::ranges::any_of(refs, [&](const auto& ref) { return is_open(pools, ref); })) continue;
      lines.push_back(fmt::format(
          "warning: route {} rule {}: every pool with weight is drained, new connections are "
          "refused",
          route.name, rule));
    }
  }
  for (const PoolConfig& pool : config.pools) {
    const std::string problem = file_problem(pool.health);
    if (!problem.empty()) {
      lines.push_back(
          fmt::format("warning: pool {}: every health check will fail: {}", pool.name, problem));
    }
  }
  return lines;
}

}  // namespace sluice::ctrl

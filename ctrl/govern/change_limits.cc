#include "ctrl/govern/change_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace sluice::ctrl {
namespace {

constexpr double rounding = 1e-9;

double share_of(const RuleConfig& rule, const std::string& pool) {
  double sum = 0, weight = 0;
  for (const PoolRefConfig& ref : rule.backends) {
    sum += ref.weight;
    if (ref.pool == pool) weight = ref.weight;
  }
  return sum > 0 ? weight / sum : 0;
}

const RouteConfig* named(const Config& config, const std::string& name) {
  const auto at = std::ranges::find(config.routes, name, &RouteConfig::name);
  return at == config.routes.end() ? nullptr : &*at;
}

std::optional<std::string> overstep(const PolicyConfig& policy, const RouteConfig& before,
                                    const RouteConfig& after) {
  for (size_t i = 0; i < std::min(before.rules.size(), after.rules.size()); i++) {
    for (const PoolRefConfig& ref : after.rules[i].backends) {
      const double was = share_of(before.rules[i], ref.pool);
      const double is = share_of(after.rules[i], ref.pool);
      if (was >= 0.5 || (is - was) * 100 <= *policy.weight_step_max + rounding) continue;
      return fmt::format(
          "policy {} lets a pool gain at most {} percentage points in one step: route {} rule {} "
          "pool {} would go from {:.3g} % to {:.3g} %",
          policy.name, *policy.weight_step_max, after.name, i, ref.pool, was * 100, is * 100);
    }
  }
  return std::nullopt;
}

}  // namespace

bool is_on(const FreezeConfig& freeze, uint64_t unix_ms) {
  return freeze.from_unix_ms <= unix_ms && unix_ms < freeze.until_unix_ms;
}

std::optional<std::string> frozen(const std::vector<FreezeConfig>& freezes, const Touched& touched,
                                  uint64_t unix_ms) {
  for (const FreezeConfig& freeze : freezes) {
    if (!is_on(freeze, unix_ms)) continue;
    const auto fits = [&](const std::string& route) { return fits_any(route, freeze.routes); };
    const auto route = std::ranges::find_if(touched.routes, fits);
    const bool all = fits("*") && (touched.node_wide || !touched.unused.empty());
    if (route == touched.routes.end() && !all) continue;
    return fmt::format("{} frozen until {} by freeze {}{}; only a rollback is possible",
                       route == touched.routes.end() ? "everything is" : "route " + *route + " is",
                       format_time(freeze.until_unix_ms), freeze.name,
                       freeze.reason.empty() ? "" : " (" + freeze.reason + ")");
  }
  return std::nullopt;
}

std::optional<std::string> too_big_a_step(const Config& before, const Config& after) {
  for (const PolicyConfig& policy : before.govern.policies) {
    if (!policy.weight_step_max) continue;
    for (const RouteConfig& route : after.routes) {
      const RouteConfig* old_route = named(before, route.name);
      if (old_route == nullptr || !fits_any(route.name, policy.routes)) continue;
      if (auto found = overstep(policy, *old_route, route)) return found;
    }
  }
  return std::nullopt;
}

std::set<std::string> need_approval(const Config& before, const Config& after,
                                    const Touched& touched) {
  std::set<std::string> routes;
  for (const Config* config : {&before, &after}) {
    for (const RouteConfig& route : config->routes) {
      const bool about = touched.routes.contains(route.name) || touched.node_wide;
      if (route.approval && about) routes.insert(route.name);
    }
  }
  return routes;
}

}  // namespace sluice::ctrl

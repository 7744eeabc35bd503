#include "ctrl/control/proof_plan.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "ctrl/control/config_lookup.h"
#include "dataplane/model/slot_table.h"

namespace sluice::ctrl {
namespace {

bool names_pool(const RouteConfig& route, const std::set<std::string_view>& pools) {
  return std::ranges::any_of(route.rules, [&](const RuleConfig& rule) {
    return std::ranges::any_of(rule.backends,
                               [&](const auto& ref) { return pools.contains(ref.pool); });
  });
}

class Planner {
 public:
  explicit Planner(const PlanInput& input)
      : in_(input), pools_before_(input.before), pools_after_(input.after) {
    find_changed_pools();
  }

  ProofPlan plan() {
    plan_.generation = in_.snapshot.generation;
    plan_.revision = in_.snapshot.revision;
    plan_.verb = in_.change.verb;
    plan_.route = in_.change.route;
    plan_.existing = in_.existing;
    for (const RouteConfig& route : in_.after.routes) {
      if (concerns(route)) add_route(route);
    }
    add_removed();
    add_backends();
    return std::move(plan_);
  }

 private:
  void find_changed_pools() {
    for (const std::string& pool : in_.change.pools) changed_pools_.insert(pool);
    for (const BackendKey& backend : in_.change.backends) changed_pools_.insert(backend.pool);
    if (in_.change.scope != Scope::lost_weight) return;
    for (const PoolConfig& pool : in_.after.pools) {
      const PoolConfig* old = pools_before_.find(pool.name);
      if (old == nullptr || *old != pool) changed_pools_.insert(pool.name);
    }
  }

  bool concerns(const RouteConfig& route) const {
    if (!in_.change.route.empty()) return route.name == in_.change.route;
    if (in_.change.verb == "start" || in_.change.verb == "verify") return true;
    if (names_pool(route, changed_pools_)) return true;
    if (in_.change.scope != Scope::lost_weight) return false;
    const RouteConfig* old = find_route(in_.before, route.name);
    return old == nullptr || *old != route;
  }

  bool was_open(const RefKey& key) const {
    const RouteConfig* route = find_route(in_.before, key.route);
    if (route == nullptr || key.rule >= route->rules.size()) return false;
    const auto& refs = route->rules[key.rule].backends;
    const auto at = std::ranges::find(refs, key.pool, &PoolRefConfig::pool);
    return at != refs.end() && is_open(pools_before_, *at);
  }

  bool in_scope(const RefKey& key) const {
    switch (in_.change.scope) {
      case Scope::lost_weight:
        return was_open(key);
      case Scope::route:
        return key.route == in_.change.route;
      case Scope::pools:
        return std::ranges::find(in_.change.pools, key.pool) != in_.change.pools.end();
      case Scope::backends:
        return false;
    }
    return false;
  }

  ProofPool pool_of(RefKey key, uint16_t ref, const PoolConfig* pool) const {
    ProofPool into;
    into.ref = ref;
    into.version = pool == nullptr ? "" : pool->version;
    into.closed_since = in_.closed.since(ref);
    into.must_drain = in_.existing != Existing::keep && into.closed_since != 0 && in_scope(key);
    into.key = std::move(key);
    return into;
  }

  void add_route(const RouteConfig& route) {
    const auto at = std::ranges::find(in_.snapshot.routes, route.name, &model::Route::name);
    for (uint32_t i = 0; i < route.rules.size(); i++) {
      static const model::Rule absent;
      const bool published = at != in_.snapshot.routes.end() && i < at->rules.size();
      add_rule(route, i, published ? at->rules[i] : absent);
    }
  }

  void add_rule(const RouteConfig& route, uint32_t index, const model::Rule& published) {
    const auto& refs = route.rules[index].backends;
    const std::vector<uint32_t> slots = count_slots(published);
    const std::vector<uint32_t> asked = slots_asked(route.rules[index], published, pools_after_);
    for (size_t i = 0; i < refs.size(); i++) {
      RefKey key{route.name, index, refs[i].pool};
      const auto ref = in_.registry.find_ref(key);
      if (!ref) continue;
      listed_.insert(*ref);
      ProofPool pool = pool_of(std::move(key), *ref, pools_after_.find(refs[i].pool));
      pool.weight = refs[i].weight;
      pool.slots = i < slots.size() ? slots[i] : 0;
      pool.slots_asked = asked[i];
      plan_.pools.push_back(std::move(pool));
    }
  }

  /// Pools that the change took out of a route; their connections may still be there.
  void add_removed() {
    for (const RouteConfig& route : in_.before.routes) {
      if (!in_.change.route.empty() && route.name != in_.change.route) continue;
      for (uint32_t rule = 0; rule < route.rules.size(); rule++) {
        for (const PoolRefConfig& old : route.rules[rule].backends) {
          RefKey key{route.name, rule, old.pool};
          const auto ref = in_.registry.find_ref(key);
          if (!ref || listed_.contains(*ref) || configured(key)) continue;
          plan_.pools.push_back(pool_of(std::move(key), *ref, pools_before_.find(old.pool)));
        }
      }
    }
  }

  bool configured(const RefKey& key) const {
    const RouteConfig* route = find_route(in_.after, key.route);
    if (route == nullptr || key.rule >= route->rules.size()) return false;
    const auto& refs = route->rules[key.rule].backends;
    return std::ranges::find(refs, key.pool, &PoolRefConfig::pool) != refs.end();
  }

  void add_backends() {
    for (const BackendKey& key : in_.change.backends) {
      const PoolConfig* pool = pools_after_.find(key.pool);
      const BackendConfig* backend = pool == nullptr ? nullptr : find_backend(*pool, key.endpoint);
      const auto id = in_.backend_ids.find(key);
      if (backend == nullptr || !backend->drained || id == in_.backend_ids.end()) continue;
      plan_.backends.push_back({key, id->second, in_.existing != Existing::keep});
    }
  }

  const PlanInput& in_;
  PoolIndex pools_before_, pools_after_;
  std::set<std::string_view> changed_pools_;
  std::set<uint16_t> listed_;
  ProofPlan plan_;
};

}  // namespace

std::vector<uint32_t> count_slots(const model::Rule& rule) {
  std::array<uint32_t, 256> counts{};
  if (rule.slots) {
    for (const uint8_t pool : *rule.slots) counts[pool]++;
  }
  return {counts.begin(), counts.begin() + std::min<size_t>(rule.pools.size(), counts.size())};
}

std::vector<uint32_t> slots_asked(const RuleConfig& rule, const model::Rule& published,
                                  const PoolIndex& pools) {
  if (published.pools.empty()) return std::vector<uint32_t>(rule.backends.size());
  std::vector<model::WeightedPool> asked;
  for (size_t i = 0; i < rule.backends.size(); i++) {
    const PoolRefConfig& ref = rule.backends[i];
    const PoolConfig* pool = pools.find(ref.pool);
    // A drained pool keeps its weight in the configuration and loses it in the table, or keeps
    // it there too when no other pool is left (without_drained_pools).
    const bool drained = pool != nullptr && wholly_drained(*pool) && i < published.pools.size();
    asked.push_back({ref.pool, drained ? published.pools[i].weight : ref.weight});
  }
  return model::slot_shares(asked);
}

ProofPlan make_plan(const PlanInput& input) { return Planner(input).plan(); }

}  // namespace sluice::ctrl

#include "ctrl/control/route_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "ctrl/compile/pool_status.h"
#include "ctrl/control/config_lookup.h"
#include "ctrl/control/controller.h"
#include "ctrl/control/proof_plan.h"

namespace sluice::ctrl {
namespace {

constexpr std::array families = {Family::v4, Family::v6};
using ByFamily = std::array<FamilyFacts, families.size()>;

size_t slot_of(Family family) { return family == Family::v6; }

void count_backend(const Controller& controller, const PoolStatus& pool,
                   const BackendStatus& backend, FamilyFacts& into) {
  const bool usable = backend.weight > 0 && (backend.state == BackendState::up ||
                                             backend.state == BackendState::unchecked);
  into.usable += usable;
  into.down += backend.state == BackendState::down;
  into.unresolved += backend.state == BackendState::unresolved;
  into.drained += backend.state == BackendState::drained;
  into.spread += backend.serving && backend.state == BackendState::down;
  if (!usable || !backend.serving) return;
  ++into.serving;
  const HealthState* health = controller.node().health({pool.name, backend.endpoint});
  into.untold += backend.state == BackendState::up && health != nullptr && !health->checked;
}

ByFamily count_pool(const Controller& controller, const PoolStatus& pool) {
  ByFamily facts;
  for (const Family family : families) facts[slot_of(family)].family = family;
  for (const BackendStatus& backend : pool.backends) {
    count_backend(controller, pool, backend, facts[slot_of(backend.endpoint.address.family)]);
  }
  for (FamilyFacts& each : facts) {
    each.panic_fail =
        pool.panic_active == PanicPolicy::fail && each.serving == 0 && each.usable > 0;
  }
  return facts;
}

bool may_match(const RuleConfig& rule, Family family) {
  return rule.sources.empty() || std::ranges::any_of(rule.sources, [&](const Prefix& source) {
           return source.address.family == family;
         });
}

class Gatherer {
 public:
  Gatherer(const Controller& controller, SlotCounts& counts)
      : config_(controller.config()), counts_(counts), pools_(config_) {
    for (const PoolStatus& pool :
         pool_status(config_, controller.observed(), controller.registry())) {
      by_pool_.emplace(pool.name, count_pool(controller, pool));
    }
    for (const ListenerConfig& listener : config_.listeners) {
      listener_family_.emplace(listener.name, listener.address.family);
    }
    for (const model::Route& route : controller.snapshot().routes) {
      published_.try_emplace(route.name, &route);
    }
  }

  RouteFacts route(const RouteConfig& route) {
    RouteFacts facts;
    facts.name = route.name;
    const auto published = published_.find(route.name);
    facts.published =
        published != published_.end() && published->second->rules.size() == route.rules.size();
    for (size_t i = 0; i < route.rules.size(); i++) {
      const model::Rule* table = facts.published ? &published->second->rules[i] : nullptr;
      facts.rules.push_back(rule(route, route.rules[i], table));
    }
    return facts;
  }

 private:
  RuleFacts rule(const RouteConfig& route, const RuleConfig& rule, const model::Rule* table) {
    RuleFacts facts;
    std::vector<uint32_t> slots, asked;
    if (table != nullptr) {
      slots = counts_.of(*table);
      asked = slots_asked(rule, *table, pools_);
    }
    for (size_t i = 0; i < rule.backends.size(); i++) {
      const PoolRefConfig& ref = rule.backends[i];
      PoolFacts pool{.pool = ref.pool,
                     .weight = ref.weight,
                     .open = is_open(pools_, ref),
                     .slots = i < slots.size() ? slots[i] : 0,
                     .slots_asked = i < asked.size() ? asked[i] : 0,
                     .stale = 0,
                     .families = {}};
      const auto counted = by_pool_.find(ref.pool);
      for (const Family family : families) {
        if (counted == by_pool_.end() || !brings(route, family) || !may_match(rule, family))
          continue;
        pool.families.push_back(counted->second[slot_of(family)]);
      }
      facts.pools.push_back(std::move(pool));
    }
    return facts;
  }

  bool brings(const RouteConfig& route, Family family) const {
    return std::ranges::any_of(route.listeners, [&](const std::string& name) {
      const auto at = listener_family_.find(name);
      return at != listener_family_.end() && at->second == family;
    });
  }

  const Config& config_;
  SlotCounts& counts_;
  PoolIndex pools_;
  std::unordered_map<std::string, ByFamily> by_pool_;
  std::unordered_map<std::string, Family> listener_family_;
  std::unordered_map<std::string_view, const model::Route*> published_;
};

/// How and when what is left ends; `at_ns` is 0 when that has been published.
void set_end(Draining& into, std::optional<uint64_t> at_ns, uint64_t now_ns) {
  if (!at_ns) return;
  into.existing = *at_ns == 0 ? Existing::reset : Existing::drain;
  if (*at_ns > now_ns) into.ends_in_ms = (*at_ns - now_ns) / 1'000'000;
}

void add_drained_backends(const Controller& controller, const std::string& route,
                          std::vector<Draining>& into) {
  const PoolIndex pools(controller.config());
  for (const RouteConfig& each : controller.config().routes) {
    if (!route.empty() && each.name != route) continue;
    for (uint32_t rule = 0; rule < each.rules.size(); rule++) {
      for (const PoolRefConfig& ref : each.rules[rule].backends) {
        const PoolConfig* pool = pools.find(ref.pool);
        // Of a pool that gets nothing any more the whole share is told.
        if (pool == nullptr || !is_open(pools, ref)) continue;
        for (const BackendConfig& backend : pool->backends) {
          if (!backend.drained) continue;
          const Endpoint endpoint{backend.address, backend.port};
          const auto identity = controller.registry().find_backend({pool->name, endpoint});
          if (!identity) continue;
          const uint64_t active = controller.sampler().backend(identity->id).active();
          if (active == 0) continue;
          Draining draining{each.name, rule, pool->name, endpoint, active, Existing::keep, 0};
          set_end(draining, controller.fences().backend_ends_at_ns(identity->id),
                  controller.now_ns());
          into.push_back(std::move(draining));
        }
      }
    }
  }
}

}  // namespace

std::vector<uint32_t> SlotCounts::of(const model::Rule& rule) {
  if (!rule.slots) return std::vector<uint32_t>(rule.pools.size());
  const auto [at, fresh] = entries_.try_emplace(rule.slots.get());
  if (fresh) at->second = {.table = rule.slots, .counts = count_slots(rule)};
  at->second.used = true;
  at->second.counts.resize(rule.pools.size());
  return at->second.counts;
}

void SlotCounts::prune() {
  std::erase_if(entries_, [](const auto& entry) { return !entry.second.used; });
  for (auto& [table, entry] : entries_) entry.used = false;
}

std::vector<RouteFacts> gather_routes(const Controller& controller, SlotCounts& counts) {
  Gatherer gatherer(controller, counts);
  std::vector<RouteFacts> routes;
  routes.reserve(controller.config().routes.size());
  for (const RouteConfig& route : controller.config().routes) {
    routes.push_back(gatherer.route(route));
  }
  counts.prune();
  return routes;
}

ServedFacts gather_served(const Controller& controller) {
  ServedFacts served{controller.generation(), controller.revision(), {}};
  const dataplane::Engine& engine = controller.engine();
  for (unsigned i = 0; i < engine.worker_count(); i++) {
    const dataplane::Acknowledgement acknowledged = engine.acknowledgement(i);
    served.workers.push_back({acknowledged.generation, acknowledged.revision});
  }
  return served;
}

void update_stale(const Controller& controller, std::vector<RouteFacts>& routes) {
  const dataplane::Engine& engine = controller.engine();
  for (RouteFacts& route : routes) {
    for (uint32_t rule = 0; rule < route.rules.size(); rule++) {
      for (PoolFacts& pool : route.rules[rule].pools) {
        pool.stale = 0;
        if (pool.open) continue;
        const auto ref = controller.registry().find_ref(RefKey{route.name, rule, pool.pool});
        const uint64_t since = ref ? controller.closed().since(*ref) : 0;
        for (unsigned i = 0; since != 0 && i < engine.worker_count(); i++) {
          pool.stale += engine.counters(i).refs[*ref].last_decision_revision.get() >= since;
        }
      }
    }
  }
}

std::vector<Draining> gather_draining(const Controller& controller, const std::string& route) {
  std::vector<Draining> found;
  const auto& refs = controller.registry().refs();
  for (auto at = refs.lower_bound(RefKey{route, 0, ""}); at != refs.end(); ++at) {
    const auto& [key, ref] = *at;
    if (!route.empty() && key.route != route) break;
    if (controller.closed().since(ref) == 0) continue;
    const uint64_t active = controller.sampler().ref(ref).active();
    if (active == 0) continue;
    Draining draining{key.route, key.rule, key.pool, std::nullopt, active, Existing::keep, 0};
    set_end(draining, controller.fences().ends_at_ns(ref), controller.now_ns());
    found.push_back(std::move(draining));
  }
  add_drained_backends(controller, route, found);
  std::ranges::sort(found, {}, [](const Draining& each) {
    return std::tie(each.route, each.rule, each.pool, each.backend);
  });
  return found;
}

Json draining_json(const std::vector<Draining>& draining) {
  Json list = Json::array();
  for (const Draining& each : draining) {
    const std::string backend = each.backend ? to_string(*each.backend) : "";
    const std::string of = backend.empty() ? each.pool : fmt::format("{} ({})", backend, each.pool);
    const bool ends = each.existing == Existing::drain;
    list.push_back({{"rule", each.rule},
                    {"pool", each.pool},
                    {"backend", each.backend ? Json(backend) : Json(nullptr)},
                    {"active", each.active},
                    {"existing", to_string(each.existing)},
                    {"ends_in_ms", ends ? Json(each.ends_in_ms) : Json(nullptr)},
                    {"text", there_before(each.active, of)}});
  }
  return list;
}

}  // namespace sluice::ctrl

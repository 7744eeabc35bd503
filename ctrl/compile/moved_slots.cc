#include "ctrl/compile/moved_slots.h"

#include <string_view>
#include <unordered_map>

namespace sluice::ctrl {
namespace {

using RoutesByName = std::unordered_map<std::string_view, const model::Route*>;

// A route of both address families is there twice, with the same slots: the first stands for it.
RoutesByName routes_by_name(const model::Snapshot& snapshot) {
  RoutesByName routes;
  for (const model::Route& route : snapshot.routes) routes.try_emplace(route.name, &route);
  return routes;
}

/// The name of the pool at index `i` of a rule.
const std::string& pool_name(const model::Snapshot& snapshot, const model::Rule& rule, size_t i) {
  return snapshot.pools[rule.pools[i].pool].name;
}

uint32_t count_moved(const model::Snapshot& before, const model::Rule& old_rule,
                     const model::Snapshot& after, const model::Rule& rule) {
  if (!old_rule.slots) return 0;  // every weight was 0: nobody is anywhere
  if (!rule.slots) return model::slot_count;
  // Indexes of the same pool differ between the two rules: translate the old ones, -1 for gone.
  std::vector<int> translated(old_rule.pools.size(), -1);
  for (size_t i = 0; i < old_rule.pools.size(); ++i) {
    for (size_t j = 0; j < rule.pools.size(); ++j) {
      if (pool_name(before, old_rule, i) == pool_name(after, rule, j)) {
        translated[i] = static_cast<int>(j);
      }
    }
  }
  uint32_t moved = 0;
  for (uint32_t slot = 0; slot < model::slot_count; ++slot) {
    moved += translated[(*old_rule.slots)[slot]] != (*rule.slots)[slot];
  }
  return moved;
}

}  // namespace

std::vector<MovedSlots> moved_slots(const model::Snapshot& before, const model::Snapshot& after) {
  std::vector<MovedSlots> result;
  const RoutesByName old_routes = routes_by_name(before), routes = routes_by_name(after);
  for (const model::Route& old_route : before.routes) {
    if (old_routes.at(old_route.name) != &old_route) continue;
    const auto route = routes.find(old_route.name);
    for (uint32_t i = 0; i < old_route.rules.size(); ++i) {
      const model::Rule& old_rule = old_route.rules[i];
      const bool stays = route != routes.end() && i < route->second->rules.size();
      const uint32_t moved = stays ? count_moved(before, old_rule, after, route->second->rules[i])
                             : old_rule.slots ? model::slot_count
                                              : 0;
      if (moved > 0) result.push_back({old_route.name, i, moved});
    }
  }
  return result;
}

}  // namespace sluice::ctrl

#include "ctrl/govern/touched.h"

#include <map>

namespace sluice::ctrl {
namespace {

/// Names whose item differs, or that only one side has.
template <typename Items>
std::set<std::string> differing(const Items& before, const Items& after) {
  std::map<std::string_view, const typename Items::value_type*> old_items;
  for (const auto& item : before) old_items.emplace(item.name, &item);
  std::set<std::string> names;
  for (const auto& item : after) {
    const auto old_item = old_items.find(item.name);
    if (old_item == old_items.end() || *old_item->second != item) names.insert(item.name);
    if (old_item != old_items.end()) old_items.erase(old_item);
  }
  for (const auto& [name, item] : old_items) names.emplace(name);
  return names;
}

class Collector {
 public:
  Collector(const Config& before, const Config& after)
      : pools_(differing(before.pools, after.pools)),
        listeners_(differing(before.listeners, after.listeners)) {
    touched_.routes = differing(before.routes, after.routes);
    touched_.unused.insert(pools_.begin(), pools_.end());
    touched_.unused.insert(listeners_.begin(), listeners_.end());
  }

  void uses(const Config& config) {
    for (const RouteConfig& route : config.routes) {
      for (const std::string& listener : route.listeners) use(route, listeners_, listener);
      for (const RuleConfig& rule : route.rules) {
        for (const PoolRefConfig& ref : rule.backends) use(route, pools_, ref.pool);
      }
    }
  }

  Touched take() { return std::move(touched_); }

 private:
  void use(const RouteConfig& route, const std::set<std::string>& changed,
           const std::string& name) {
    if (!changed.contains(name)) return;
    touched_.routes.insert(route.name);
    touched_.unused.erase(name);
  }

  std::set<std::string> pools_, listeners_;
  Touched touched_;
};

/// What is left of a configuration without the parts that belong to routes, and without those
/// that a running sluiced does not take up.
Config remainder(Config config) {
  config.pools.clear();
  config.listeners.clear();
  config.routes.clear();
  config.node = {};
  config.ports.clear();
  config.control = {};
  config.admin = {};
  return config;
}

template <typename Items>
bool same_order(const Items& before, const Items& after) {
  if (before.size() != after.size()) return true;  // the difference itself is told by name
  for (size_t i = 0; i < before.size(); i++) {
    if (before[i].name != after[i].name) return false;
  }
  return true;
}

}  // namespace

Touched touched_by(const Config& before, const Config& after) {
  Collector collector(before, after);
  collector.uses(before);
  collector.uses(after);
  Touched touched = collector.take();
  // Routes of one listener are tried in order: another order may concern each of them.
  if (!same_order(before.routes, after.routes)) {
    for (const RouteConfig& route : after.routes) touched.routes.insert(route.name);
  }
  touched.node_wide = remainder(before) != remainder(after);
  return touched;
}

}  // namespace sluice::ctrl

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "ctrl/config/draft.h"
#include "ctrl/config/first_use.h"
#include "ctrl/config/text.h"
#include "ctrl/config/values.h"

namespace sluice::ctrl {
namespace {

constexpr size_t names_searched_max = 256;

using IndexByName = std::map<std::string_view, size_t>;

template <typename Items>
IndexByName index_by_name(const Items& items) {
  IndexByName index;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].name.empty()) index.try_emplace(items[i].name, i);
  }
  return index;
}

void reject_undefined(const Value& value, std::string_view kind, const IndexByName& defined) {
  const std::string& name = value.node().text;
  std::string message = fmt::format("{} {} is not defined", kind, in_quotes(name));
  if (defined.size() <= names_searched_max && value.mistakes().count() < suggestions_max) {
    std::vector<std::string_view> names;
    for (const auto& [known, index] : defined) names.push_back(known);
    if (const auto slip = nearest(name, names)) {
      message += fmt::format("; did you mean {}?", in_quotes(*slip));
    }
  }
  value.reject(message);
}

bool may_match(const RuleConfig& rule, Family family) {
  return rule.sources.empty() || std::ranges::any_of(rule.sources, [&](const Prefix& source) {
           return source.address.family == family;
         });
}

bool has_backend(const PoolConfig& pool, Family family) {
  return std::ranges::any_of(pool.backends, [&](const BackendConfig& backend) {
    return backend.address.family == family && backend.weight > 0;
  });
}

// What the listeners of one route have in common with each other.
struct Entrances {
  std::map<Family, std::string_view> listener_of;  // a listener for each family
  bool whole = true;                               // every listener is defined and has an address
};

class RouteCheck {
 public:
  explicit RouteCheck(const Draft& draft)
      : draft_(draft),
        listeners_(index_by_name(draft.config.listeners)),
        pools_(index_by_name(draft.config.pools)) {}

  void check(size_t route_index) {
    const RouteConfig& route = draft_.config.routes[route_index];
    const RoutePlaces& places = draft_.routes[route_index];
    const Entrances entrances = check_listeners(route, places);
    size_t catch_all = route.rules.size();
    for (size_t i = 0; i < route.rules.size(); ++i) {
      check_pools(route.rules[i], places.rules[i], entrances);
      check_sources(route.rules[i], places.rules[i], entrances);
      if (catch_all < i) {
        places.rules[i].self.reject(fmt::format("is never reached, {} matches every source",
                                                places.rules[catch_all].self.where()));
      } else if (route.rules[i].sources.empty() && places.rules[i].whole) {
        catch_all = i;
      }
    }
    if (catch_all < route.rules.size()) take_listeners(route, places);
  }

 private:
  Entrances check_listeners(const RouteConfig& route, const RoutePlaces& places) {
    Entrances entrances{.listener_of = {}, .whole = !route.listeners.empty()};
    FirstUse<std::string> used;
    for (size_t i = 0; i < route.listeners.size(); ++i) {
      const std::string& name = route.listeners[i];
      used.note(name, places.listeners[i], in_quotes(name));
      const auto found = listeners_.find(name);
      if (found == listeners_.end()) {
        reject_undefined(places.listeners[i], "listener", listeners_);
        entrances.whole = false;
      } else if (!draft_.listeners[found->second].address) {
        entrances.whole = false;
      } else {
        const Family family = draft_.config.listeners[found->second].address.family;
        entrances.listener_of.try_emplace(family, name);
      }
      if (const Value* taker = takers_.find(name);
          taker && taker->key() != used.find(name)->key()) {
        places.listeners[i].reject(fmt::format("nothing is left of listener {}, {} takes all of it",
                                               in_quotes(name), taker->where()));
      }
    }
    return entrances;
  }

  void check_pools(const RuleConfig& rule, const RulePlaces& places, const Entrances& entrances) {
    FirstUse<std::string> used;
    for (size_t i = 0; i < rule.backends.size(); ++i) {
      const std::string& name = rule.backends[i].pool;
      used.note(name, places.backends[i], in_quotes(name));
      const auto found = pools_.find(name);
      if (found == pools_.end()) {
        reject_undefined(places.backends[i], "pool", pools_);
        continue;
      }
      if (!draft_.pools[found->second].whole) continue;
      for (const auto& [family, listener] : entrances.listener_of) {
        if (!may_match(rule, family) || has_backend(draft_.config.pools[found->second], family)) {
          continue;
        }
        places.backends[i].reject(fmt::format(
            "pool {} has no {} backend of weight above 0, as listener {} needs in nat mode",
            in_quotes(name), family_name(family), in_quotes(listener)));
      }
    }
  }

  void check_sources(const RuleConfig& rule, const RulePlaces& places, const Entrances& entrances) {
    if (!entrances.whole) return;
    for (size_t i = 0; i < rule.sources.size(); ++i) {
      const Family family = rule.sources[i].address.family;
      if (entrances.listener_of.contains(family)) continue;
      places.sources[i].reject(
          fmt::format("matches nothing, the route has no {} listener", family_name(family)));
    }
  }

  void take_listeners(const RouteConfig& route, const RoutePlaces& places) {
    for (size_t i = 0; i < route.listeners.size(); ++i) {
      const std::string& name = route.listeners[i];
      if (!takers_.find(name)) takers_.note(name, places.listeners[i], "");
    }
  }

  const Draft& draft_;
  IndexByName listeners_, pools_;
  FirstUse<std::string> takers_;  // listeners of which an earlier route leaves nothing
};

}  // namespace

void check_routes(const Draft& draft, Mistakes& mistakes) {
  FirstUse<std::string> names;
  RouteCheck check(draft);
  size_t refs = 0;
  for (size_t i = 0; i < draft.routes.size(); ++i) {
    const RouteConfig& route = draft.config.routes[i];
    if (draft.routes[i].name) names.note(route.name, *draft.routes[i].name, in_quotes(route.name));
    check.check(i);
    for (const RuleConfig& rule : route.rules) refs += rule.backends.size();
  }
  if (refs > model::refs_max) {
    mistakes.add({}, "route",
                 fmt::format("the rules name pools {} times, at most {} are possible", refs,
                             model::refs_max));
  }
}

}  // namespace sluice::ctrl

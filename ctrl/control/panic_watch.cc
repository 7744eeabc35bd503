#include "ctrl/control/panic_watch.h"

#include <algorithm>

#include "ctrl/compile/selection.h"

namespace sluice::ctrl {

std::vector<PanicChange> PanicWatch::update(const Config& config, const Observed& observed) {
  std::map<std::pair<std::string, Family>, PanicChange> now;
  std::vector<PanicChange> changes;
  for (const PoolConfig& pool : config.pools) {
    if (pool.panic == PanicPolicy::none) continue;
    const std::vector<BackendView> views = view_backends(pool, observed);
    for (const Family family : {Family::v4, Family::v6}) {
      const Selection selection = select_backends(pool, family, views);
      const PanicChange found{.pool = pool.name,
                              .family = family,
                              .policy = pool.panic,
                              .active = selection.panic != PanicPolicy::none,
                              .usable = selection.usable,
                              .candidates = selection.candidates};
      const bool was = active_.contains({pool.name, family});
      if (found.active) now[{pool.name, family}] = found;
      if (found.active != was) changes.push_back(found);
    }
  }
  // Pools that are gone, or whose policy is.
  for (const auto& [key, change] : active_) {
    if (now.contains(key)) continue;
    const auto told = [&](const PanicChange& each) {
      return each.pool == key.first && each.family == key.second;
    };
    if (std::ranges::any_of(changes, told)) continue;
    changes.push_back(change);
    changes.back().active = false;
  }
  active_ = std::move(now);
  return changes;
}

}  // namespace sluice::ctrl

#include "ctrl/compile/selection.h"

#include <algorithm>

namespace sluice::ctrl {
namespace {

// Looks addresses up in the order of the map nearly for free: backends are mostly written so.
class NextHopFinder {
 public:
  explicit NextHopFinder(const Observed& observed)
      : observed_(observed), at_(observed.next_hops.begin()) {}

  model::NextHop find(const IpAddress& address) {
    const auto end = observed_.next_hops.end();
    if (at_ == end || at_->first != address) at_ = observed_.next_hops.find(address);
    if (at_ == end) return {};
    const model::NextHop next_hop = at_->second;
    ++at_;
    const bool port_is_there =
        next_hop.port < observed_.ports.size() && observed_.ports[next_hop.port].present;
    return next_hop.resolved && port_is_there ? next_hop : model::NextHop{};
  }

 private:
  const Observed& observed_;
  std::map<IpAddress, model::NextHop>::const_iterator at_;
};

BackendState state_of(const PoolConfig& pool, const BackendConfig& backend, bool down,
                      bool resolved) {
  const bool checked = pool.health.type != HealthType::none;
  if (backend.drained) return BackendState::drained;
  if (checked && down) return BackendState::down;
  if (!resolved) return BackendState::unresolved;
  return checked ? BackendState::up : BackendState::unchecked;
}

}  // namespace

std::vector<BackendView> view_backends(const PoolConfig& pool, const Observed& observed) {
  std::vector<Endpoint> down;  // sorted, as the set is
  for (auto key = observed.down.lower_bound({pool.name, {}});
       key != observed.down.end() && key->pool == pool.name; ++key) {
    down.push_back(key->endpoint);
  }
  NextHopFinder next_hops(observed);
  std::vector<BackendView> views;
  views.reserve(pool.backends.size());
  for (const BackendConfig& backend : pool.backends) {
    const bool is_down = std::ranges::binary_search(down, Endpoint{backend.address, backend.port});
    const model::NextHop next_hop = next_hops.find(backend.address);
    views.push_back({state_of(pool, backend, is_down, next_hop.resolved), next_hop});
  }
  return views;
}

bool is_usable(const BackendConfig& backend, BackendState state) {
  return backend.weight > 0 && (state == BackendState::up || state == BackendState::unchecked);
}

Selection select_backends(const PoolConfig& pool, Family family,
                          std::span<const BackendView> views) {
  const auto select = [&](auto&& usable) {
    Selection selection;
    for (uint32_t i = 0; i < pool.backends.size(); ++i) {
      const BackendConfig& backend = pool.backends[i];
      if (backend.address.family != family || !usable(backend, views[i].state)) continue;
      if (!selection.members.empty() && backend.tier > selection.active_tier) continue;
      if (selection.members.empty() || backend.tier < selection.active_tier) {
        selection.members.clear();
        selection.active_tier = backend.tier;
      }
      selection.members.push_back(i);
    }
    return selection;
  };
  Selection selection = select(is_usable);
  if (!selection.members.empty()) return selection;
  return select([](const BackendConfig& backend, BackendState state) {
    return backend.weight > 0 && state == BackendState::unresolved;
  });
}

}  // namespace sluice::ctrl

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

/// What the pool's panic policy makes of `selection`, whose tier is decided.
Selection panicking(const PoolConfig& pool, Family family, std::span<const BackendView> views,
                    Selection selection) {
  std::vector<uint32_t> all;  // whom a spread serves: what is down may be wrongly so
  for (uint32_t i = 0; i < pool.backends.size(); ++i) {
    const BackendConfig& backend = pool.backends[i];
    const BackendState state = views[i].state;
    const bool candidate = backend.address.family == family && backend.weight > 0 &&
                           backend.tier == selection.active_tier && state != BackendState::drained;
    if (!candidate) continue;
    ++selection.candidates;
    selection.usable += is_usable(backend, state);
    if (is_usable(backend, state) || state == BackendState::down) all.push_back(i);
  }
  const bool few =
      100 * uint64_t{selection.usable} < uint64_t{pool.panic_below_percent} * selection.candidates;
  if (pool.panic == PanicPolicy::none || !few) return selection;
  selection.panic = pool.panic;
  selection.members = pool.panic == PanicPolicy::spread ? std::move(all) : std::vector<uint32_t>{};
  return selection;
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
  if (!selection.members.empty()) return panicking(pool, family, views, std::move(selection));
  selection = select([](const BackendConfig& backend, BackendState state) {
    return backend.weight > 0 && state == BackendState::unresolved;
  });
  if (!selection.members.empty()) return selection;
  selection = select([](const BackendConfig& backend, BackendState state) {
    return backend.weight > 0 && state == BackendState::down;
  });
  if (selection.members.empty()) return selection;
  selection.members.clear();
  return panicking(pool, family, views, std::move(selection));
}

std::vector<uint32_t> weights_of(const PoolConfig& pool, std::span<const uint32_t> members,
                                 const Observed& observed) {
  constexpr uint32_t whole = 100;  // percent
  std::map<Endpoint, uint8_t> percents;
  for (auto at = observed.slow_starts.lower_bound({pool.name, {}});
       at != observed.slow_starts.end() && at->first.pool == pool.name; ++at) {
    percents.emplace(at->first.endpoint, at->second);
  }
  std::vector<uint32_t> weights;
  weights.reserve(members.size());
  bool slow = false;
  for (const uint32_t i : members) {
    const BackendConfig& backend = pool.backends[i];
    const auto percent = percents.find({backend.address, backend.port});
    slow = slow || percent != percents.end();
    weights.push_back(backend.weight * (percent == percents.end() ? whole : percent->second));
  }
  if (slow) return weights;
  for (uint32_t& weight : weights) weight /= whole;
  return weights;
}

}  // namespace sluice::ctrl

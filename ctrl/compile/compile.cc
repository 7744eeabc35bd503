#include "ctrl/compile/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>

#include "ctrl/compile/identities.h"
#include "ctrl/compile/selection.h"
#include "dataplane/model/listener_index.h"

namespace sluice::ctrl {
namespace {

constexpr std::array families = {Family::v4, Family::v6};
constexpr uint32_t nowhere = UINT32_MAX;

size_t slot_of(Family family) { return family == Family::v6; }

/// An index into the snapshot for each family, or nowhere.
using ByFamily = std::array<uint32_t, families.size()>;
using IndexByName = std::unordered_map<std::string_view, uint32_t>;

template <typename Items>
IndexByName index_by_name(const Items& items) {
  IndexByName index;
  for (uint32_t i = 0; i < items.size(); ++i) index.emplace(items[i].name, i);
  return index;
}

// A configured pool or route may serve both address families; a snapshot has one of each for
// every family that a listener brings, so that the packet path never has to ask.
class Compiler {
 public:
  Compiler(const Config& config, const Observed& observed, Registry& registry,
           const model::Snapshot* previous)
      : config_(config),
        observed_(observed),
        registry_(registry),
        previous_(previous),
        pool_by_name_(index_by_name(config.pools)),
        listener_by_name_(index_by_name(config.listeners)) {}

  Result<std::shared_ptr<const model::Snapshot>> run() {
    if (auto status = check_references(); !status) return std::unexpected(status.error());
    auto identities = claim_identities(config_, registry_);
    if (!identities) return std::unexpected(identities.error());
    identities_ = std::move(*identities);
    copy_observed();
    find_families();
    compile_pools();
    add_lingering_backends();
    compile_routes();
    compile_listeners();
    registry_.tables().prune();
    return std::move(snapshot_);
  }

 private:
  // parse_config() has seen to these; an overlay or another source may not have.
  Status check_references() const {
    if (observed_.ports.size() > model::ports_max) {
      return fail(fmt::format("{} ports, at most {} are possible", observed_.ports.size(),
                              model::ports_max));
    }
    for (const RouteConfig& route : config_.routes) {
      for (const std::string& listener : route.listeners) {
        if (listener_by_name_.contains(listener)) continue;
        return fail(fmt::format("route {}: listener {} is not defined", route.name, listener));
      }
      for (const RuleConfig& rule : route.rules) {
        if (rule.backends.size() > model::pools_per_rule_max) {
          return fail(fmt::format("route {}: a rule has at most {} pools", route.name,
                                  model::pools_per_rule_max));
        }
        for (const PoolRefConfig& ref : rule.backends) {
          if (pool_by_name_.contains(ref.pool)) continue;
          return fail(fmt::format("route {}: pool {} is not defined", route.name, ref.pool));
        }
      }
    }
    return {};
  }

  void copy_observed() {
    snapshot_->generation = observed_.generation;
    snapshot_->revision = observed_.revision;
    snapshot_->decision_key = observed_.decision_key;
    snapshot_->timeouts = config_.timeouts;
    std::ranges::copy(observed_.ports, snapshot_->ports.begin());
  }

  // A route has the families of its listeners, a pool those of the routes that name it.
  void find_families() {
    route_index_.assign(config_.routes.size(), {nowhere, nowhere});
    pool_index_.assign(config_.pools.size(), {nowhere, nowhere});
    uint32_t routes = 0;
    for (size_t i = 0; i < config_.routes.size(); ++i) {
      const RouteConfig& route = config_.routes[i];
      ByFamily used{};
      for (const std::string& listener : route.listeners) {
        const Family family = config_.listeners[listener_by_name_.at(listener)].address.family;
        used[slot_of(family)] = 1;
      }
      for (size_t family = 0; family < families.size(); ++family) {
        if (used[family] == 0) continue;
        route_index_[i][family] = routes++;
        for (const RuleConfig& rule : route.rules) {
          for (const PoolRefConfig& ref : rule.backends) {
            pool_index_[pool_by_name_.at(ref.pool)][family] = 0;  // compile_pools() numbers them
          }
        }
      }
    }
    snapshot_->routes.resize(routes);
  }

  void compile_pools() {
    snapshot_->backends.resize(registry_.backends_end());
    const uint16_t* ids = identities_.backends.data();
    for (size_t i = 0; i < config_.pools.size(); ++i) {
      const PoolConfig& pool = config_.pools[i];
      const std::vector<BackendView> views = view_backends(pool, observed_);
      for (size_t j = 0; j < pool.backends.size(); ++j) {
        snapshot_->backends[ids[j]] = {
            .present = true,
            .in_config = true,
            .incarnation = registry_.incarnation(ids[j]),
            .endpoint = {pool.backends[j].address, pool.backends[j].port},
            .next_hop = views[j].next_hop};
      }
      for (const Family family : families) {
        uint32_t& index = pool_index_[i][slot_of(family)];
        if (index == nowhere) continue;
        index = snapshot_->pools.size();
        snapshot_->pools.push_back(compile_pool(pool, family, views, ids));
      }
      ids += pool.backends.size();
    }
  }

  model::Pool compile_pool(const PoolConfig& pool, Family family,
                           std::span<const BackendView> views, const uint16_t* ids) {
    const Selection selection = select_backends(pool, family, views);
    const std::vector<uint32_t> weights = weights_of(pool, selection.members, observed_);
    members_.clear();
    for (size_t k = 0; k < weights.size(); ++k) {
      const uint32_t i = selection.members[k];
      const BackendConfig& backend = pool.backends[i];
      members_.push_back({ids[i], {backend.address, backend.port}, weights[k]});
    }
    return {.name = pool.name,
            .on_empty = pool.on_empty,
            .active_tier = selection.active_tier,
            .backends = registry_.tables().maglev(members_)};
  }

  void add_lingering_backends() {
    for (const BackendIdentity& identity : registry_.lingering()) {
      const auto next_hop = observed_.next_hops.find(identity.key.endpoint.address);
      snapshot_->backends[identity.id] = {
          .present = true,
          .in_config = false,
          .incarnation = identity.incarnation,
          .endpoint = identity.key.endpoint,
          .next_hop = next_hop == observed_.next_hops.end() ? model::NextHop{} : next_hop->second};
    }
  }

  void compile_routes() {
    const uint16_t* refs = identities_.refs.data();
    for (size_t i = 0; i < config_.routes.size(); ++i) {
      const RouteConfig& route = config_.routes[i];
      for (const RuleConfig& rule : route.rules) {
        const model::Rule compiled = compile_rule(rule, refs);
        for (size_t family = 0; family < families.size(); ++family) {
          if (route_index_[i][family] == nowhere) continue;
          model::Route& target = snapshot_->routes[route_index_[i][family]];
          target.name = route.name;
          target.rules.push_back(compiled);
          for (model::PoolRef& ref : target.rules.back().pools) {
            ref.pool = pool_index_[ref.pool][family];
          }
        }
        refs += rule.backends.size();
      }
    }
  }

  // PoolRef::pool is the configured pool's index here.
  model::Rule compile_rule(const RuleConfig& rule, const uint16_t* refs) {
    model::Rule compiled{.sources = rule.sources, .pools = {}, .slots = nullptr};
    weighted_.clear();
    for (const PoolRefConfig& ref : rule.backends) {
      compiled.pools.push_back({pool_by_name_.at(ref.pool), ref.weight, *refs++});
      weighted_.push_back({ref.pool, ref.weight});
    }
    compiled.slots = registry_.tables().slots(weighted_);
    return compiled;
  }

  void compile_listeners() {
    for (const ListenerConfig& listener : config_.listeners) {
      snapshot_->listeners.push_back({.name = listener.name,
                                      .protocol = listener.protocol,
                                      .mode = listener.mode,
                                      .address = listener.address,
                                      .port_first = listener.port_first,
                                      .port_last = listener.port_last,
                                      .routes = {}});
    }
    for (size_t i = 0; i < config_.routes.size(); ++i) {
      for (const std::string& name : config_.routes[i].listeners) {
        model::Listener& listener = snapshot_->listeners[listener_by_name_.at(name)];
        listener.routes.push_back(route_index_[i][slot_of(listener.address.family)]);
      }
    }
    const auto same_place = [](const model::Listener& a, const model::Listener& b) {
      return a.protocol == b.protocol && a.address == b.address && a.port_first == b.port_first &&
             a.port_last == b.port_last;
    };
    const bool unchanged =
        previous_ && std::ranges::equal(previous_->listeners, snapshot_->listeners, same_place);
    snapshot_->index =
        unchanged ? previous_->index : model::ListenerIndex::build(snapshot_->listeners);
  }

  const Config& config_;
  const Observed& observed_;
  Registry& registry_;
  const model::Snapshot* previous_;
  IndexByName pool_by_name_, listener_by_name_;
  Identities identities_;
  std::vector<ByFamily> route_index_, pool_index_;  // by index in the configuration
  std::vector<model::MaglevMember> members_;        // kept for their memory
  std::vector<model::WeightedPool> weighted_;
  std::shared_ptr<model::Snapshot> snapshot_ = std::make_shared<model::Snapshot>();
};

}  // namespace

Result<std::shared_ptr<const model::Snapshot>> compile(const Config& config,
                                                       const Observed& observed, Registry& registry,
                                                       const model::Snapshot* previous) {
  return Compiler(config, observed, registry, previous).run();
}

}  // namespace sluice::ctrl

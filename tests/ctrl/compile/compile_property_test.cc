// A long random life of a node: pools, weights, drains, health, next hops and releases change, and
// after each change the snapshot must agree with a naive reading of the configuration. The seed
// is printed; SLUICE_SEED and SLUICE_ROUNDS choose another life.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "dataplane/model/slot_table.h"
#include "tests/ctrl/compile/lab.h"

namespace sluice::ctrl {
namespace {

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

class Life {
 public:
  explicit Life(uint64_t seed) : random_(seed), config_(parse_good(lab_toml)) {
    observed_ = observe(config_);
  }

  void change() {
    PoolConfig& pool = pick(config_.pools);
    switch (below(8)) {
      case 0:
        add_backend(pool);
        break;
      case 1:
        if (pool.backends.size() > 4) pool.backends.erase(pool.backends.begin() + 3);
        break;
      case 2:
        pick(pool.backends).drained = below(2);
        break;
      case 3:
        pick(pool.backends).weight = below(4);
        break;
      case 4:
        pick(pool.backends).tier = below(3);
        break;
      case 5:
        toggle_down(pool);
        break;
      case 6:
        observed_.next_hops[pick(pool.backends).address].resolved = below(3) > 0;
        break;
      default:
        pick(pick(pick(config_.routes).rules).backends).weight = below(100);
    }
    if (below(10) == 0) release_some();
    ++observed_.revision;
  }

  void compile_and_check() {
    snapshot_ = compile_good(config_, observed_, registry_, snapshot_);
    ASSERT_TRUE(snapshot_);
    check_backends();
    for (const model::Listener& listener : snapshot_->listeners) {
      for (const uint32_t route : listener.routes) check_route(listener, snapshot_->routes[route]);
    }
  }

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }
  template <typename Item>
  Item& pick(std::vector<Item>& items) {
    return items[below(items.size())];
  }

  void add_backend(PoolConfig& pool) {
    BackendConfig backend;
    const bool v6 = below(3) == 0;
    backend.address = ip(v6 ? "fd00:7::" : "10.7.0.0");
    backend.address.bytes[v6 ? 15 : 3] = below(40);
    backend.port = 80;
    const auto same = [&](const BackendConfig& each) { return each.address == backend.address; };
    if (std::ranges::any_of(pool.backends, same)) return;
    pool.backends.push_back(backend);
    observed_.next_hops[backend.address] = {.resolved = true, .port = 0, .destination = {}};
  }

  void toggle_down(const PoolConfig& pool) {
    const BackendConfig& backend = pool.backends[below(pool.backends.size())];
    const BackendKey key{pool.name, {backend.address, backend.port}};
    if (observed_.down.erase(key) == 0) observed_.down.insert(key);
  }

  void release_some() {
    for (const BackendIdentity& identity : registry_.lingering()) {
      if (below(2)) registry_.release_backend(identity.id);
    }
  }

  // (id, incarnation) names one backend for ever; whatever is held is in the snapshot.
  void check_backends() {
    std::set<BackendKey> configured;
    for (const PoolConfig& pool : config_.pools) {
      for (const BackendConfig& backend : pool.backends) {
        configured.insert({pool.name, {backend.address, backend.port}});
      }
    }
    size_t in_config = 0;
    for (uint32_t id = 0; id < snapshot_->backends.size(); ++id) {
      const model::Backend& backend = snapshot_->backends[id];
      const auto identity = registry_.find_backend(static_cast<uint16_t>(id));
      ASSERT_EQ(backend.present, identity.has_value());
      if (!backend.present) continue;
      ASSERT_EQ(backend.incarnation, identity->incarnation);
      ASSERT_EQ(backend.endpoint, identity->key.endpoint);
      ASSERT_EQ(backend.in_config, configured.contains(identity->key));
      in_config += backend.in_config;
      const auto [named, is_new] = named_.try_emplace({id, backend.incarnation}, identity->key);
      ASSERT_EQ(named->second, identity->key);
    }
    ASSERT_EQ(in_config, configured.size());
  }

  void check_route(const model::Listener& listener, const model::Route& route) {
    const auto configured = std::ranges::find(config_.routes, route.name, &RouteConfig::name);
    ASSERT_EQ(route.rules.size(), configured->rules.size());
    for (size_t i = 0; i < route.rules.size(); ++i) {
      const model::Rule& rule = route.rules[i];
      std::vector<model::WeightedPool> pools;
      for (size_t p = 0; p < rule.pools.size(); ++p) {
        const model::PoolRef& ref = rule.pools[p];
        const PoolRefConfig& wanted = configured->rules[i].backends[p];
        ASSERT_EQ(snapshot_->pools[ref.pool].name, wanted.pool);
        ASSERT_EQ(*registry_.find_ref(ref.ref), (RefKey{route.name, uint32_t(i), wanted.pool}));
        pools.push_back({wanted.pool, wanted.weight});
        check_members(wanted.pool, listener.address.family, *snapshot_->pools[ref.pool].backends);
      }
      const std::vector<uint32_t> shares = model::slot_shares(pools);
      for (size_t p = 0; rule.slots && p < pools.size(); ++p) {
        ASSERT_EQ(std::ranges::count(*rule.slots, p), shares[p]);
      }
    }
  }

  // The naive reading: keep who may serve, take the lowest tier; nobody resolved, then unresolved.
  void check_members(const std::string& name, Family family, const model::MaglevTable& table) {
    const PoolConfig& pool = *std::ranges::find(config_.pools, name, &PoolConfig::name);
    std::set<Endpoint> expected;
    for (const bool resolved : {true, false}) {
      for (int tier = 0; tier < 3 && expected.empty(); ++tier) {
        for (const BackendConfig& backend : pool.backends) {
          const Endpoint endpoint{backend.address, backend.port};
          const bool down = pool.health.type != HealthType::none &&
                            observed_.down.contains({pool.name, endpoint});
          if (backend.tier == tier && backend.address.family == family && backend.weight > 0 &&
              !backend.drained && !down &&
              observed_.next_hops.at(backend.address).resolved == resolved) {
            expected.insert(endpoint);
          }
        }
      }
    }
    std::set<Endpoint> members;
    for (const uint16_t id : table) members.insert(snapshot_->backends[id].endpoint);
    ASSERT_EQ(members, expected);
  }

  std::mt19937_64 random_;
  Config config_;
  Observed observed_;
  Registry registry_;
  SnapshotPtr snapshot_;
  std::map<std::pair<uint32_t, uint32_t>, BackendKey> named_;  // by (id, incarnation)
};

TEST(CompileProperty, ALifeOfChanges) {
  const uint64_t seed = from_environment("SLUICE_SEED", std::random_device{}());
  const uint64_t rounds = from_environment("SLUICE_ROUNDS", 300);
  std::printf("SLUICE_SEED=%lu SLUICE_ROUNDS=%lu\n", seed, rounds);
  Life life(seed);
  for (uint64_t round = 0; round < rounds; ++round) {
    life.change();
    life.compile_and_check();
    ASSERT_FALSE(testing::Test::HasFailure()) << "round " << round;
  }
}

}  // namespace
}  // namespace sluice::ctrl

// Panic policies and slow start: who is served, and how much.
#include <gtest/gtest.h>

#include <algorithm>

#include "ctrl/compile/pool_status.h"
#include "ctrl/compile/selection.h"
#include "tests/ctrl/compile/lab.h"

namespace sluice::ctrl {
namespace {

/// Ten backends of tier 0, two of tier 1, checked.
struct Lab {
  explicit Lab(PanicPolicy policy, uint8_t below_percent = 50) {
    pool.name = "orders";
    pool.health.type = HealthType::tcp;
    pool.panic = policy;
    pool.panic_below_percent = below_percent;
    for (uint8_t i = 0; i < 12; ++i) {
      BackendConfig backend;
      backend.address = ip("10.0.1." + std::to_string(10 + i));
      backend.port = 80;
      backend.tier = i < 10 ? 0 : 1;
      pool.backends.push_back(backend);
    }
    Config config;
    config.pools = {pool};
    observed = observe(config);
  }
  Endpoint endpoint_of(size_t i) const { return {pool.backends[i].address, pool.backends[i].port}; }
  void down(size_t first, size_t end) {
    for (size_t i = first; i < end; ++i) observed.down.insert({"orders", endpoint_of(i)});
  }
  Selection select() const {
    return select_backends(pool, Family::v4, view_backends(pool, observed));
  }

  PoolConfig pool;
  Observed observed;
};

TEST(Panic, BeginsBelowTheShareOfTheServingTier) {
  Lab lab(PanicPolicy::spread);
  lab.down(0, 5);
  EXPECT_EQ(lab.select().panic, PanicPolicy::none) << "50 % is not below 50 %";
  EXPECT_EQ(lab.select().members.size(), 5u);
  lab.down(5, 6);
  const Selection selection = lab.select();
  EXPECT_EQ(selection.panic, PanicPolicy::spread);
  EXPECT_EQ(selection.members.size(), 10u) << "all of the tier";
  EXPECT_EQ(selection.usable, 4u);
  EXPECT_EQ(selection.candidates, 10u);
  EXPECT_EQ(selection.active_tier, 0);
}

TEST(Panic, FailServesNobody) {
  Lab lab(PanicPolicy::fail);
  lab.down(0, 6);
  EXPECT_EQ(lab.select().panic, PanicPolicy::fail);
  EXPECT_TRUE(lab.select().members.empty());
}

TEST(Panic, WithoutAPolicyTheLastOneServesAlone) {
  Lab lab(PanicPolicy::none);
  lab.down(0, 9);
  EXPECT_EQ(lab.select().members.size(), 1u);
  EXPECT_EQ(lab.select().panic, PanicPolicy::none);
}

TEST(Panic, TheNextTierComesFirst) {
  Lab lab(PanicPolicy::spread);
  lab.down(0, 10);
  EXPECT_EQ(lab.select().active_tier, 1);
  EXPECT_EQ(lab.select().panic, PanicPolicy::none) << "that tier is whole";
  lab.down(10, 12);
  EXPECT_EQ(lab.select().active_tier, 0) << "all are down: the first tier, all of it";
  EXPECT_EQ(lab.select().members.size(), 10u);
  lab.pool.panic = PanicPolicy::fail;
  EXPECT_TRUE(lab.select().members.empty());
}

TEST(Panic, DrainedAndUnresolvedAreNeverServed) {
  Lab lab(PanicPolicy::spread);
  lab.pool.backends[0].drained = true;
  lab.observed.next_hops.erase(lab.pool.backends[1].address);
  lab.down(2, 8);
  const Selection selection = lab.select();
  EXPECT_EQ(selection.panic, PanicPolicy::spread);
  EXPECT_EQ(selection.candidates, 9u) << "a drained one is nobody's trouble";
  EXPECT_EQ(selection.members.size(), 8u);
  EXPECT_EQ(selection.members.front(), 2u);
}

TEST(SlowStart, TakesItsPartOfTheWeight) {
  Lab lab(PanicPolicy::none);
  lab.pool.backends[3].weight = 7;
  const std::vector<uint32_t> members = {0, 1, 3};
  EXPECT_EQ(weights_of(lab.pool, members, lab.observed), (std::vector<uint32_t>{1, 1, 7}));
  lab.observed.slow_starts[{"orders", lab.endpoint_of(3)}] = 30;
  EXPECT_EQ(weights_of(lab.pool, members, lab.observed), (std::vector<uint32_t>{100, 100, 210}));
  lab.observed.slow_starts[{"other", lab.endpoint_of(0)}] = 30;
  EXPECT_EQ(weights_of(lab.pool, members, lab.observed), (std::vector<uint32_t>{100, 100, 210}));
}

TEST(SlowStart, ShowsInTheTable) {
  const Config config = parse_good(lab_toml);
  Observed observed = observe(config);
  observed.slow_starts[{"v1", endpoint("10.0.1.11:8080")}] = 10;
  Registry registry;
  const SnapshotPtr snapshot = compile_good(config, observed, registry);
  const auto id = registry.find_backend({"v1", endpoint("10.0.1.11:8080")})->id;
  const auto& table = *snapshot->pools[0].backends;
  const auto held = std::ranges::count(table, id);
  EXPECT_NEAR(double(held) / double(table.size()), 10.0 / 110, 0.001);
  const PoolStatus status = pool_status(config, observed, registry).front();
  EXPECT_EQ(status.backends[0].weight_percent, 10);
  EXPECT_EQ(status.backends[1].weight_percent, 100);
}

}  // namespace
}  // namespace sluice::ctrl

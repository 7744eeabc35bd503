#include "ctrl/compile/pool_status.h"

#include <gtest/gtest.h>

#include "tests/ctrl/compile/lab.h"

namespace sluice::ctrl {
namespace {

class PoolStatusTest : public testing::Test {
 protected:
  PoolStatus v1() { return pool_status(config_, observed_, registry_).at(0); }
  PoolStatus v2() { return pool_status(config_, observed_, registry_).at(1); }

  Config config_ = parse_good(lab_toml);
  Observed observed_ = observe(config_);
  Registry registry_;
};

TEST_F(PoolStatusTest, SaysWhatIsConfigured) {
  const PoolStatus status = v2();
  EXPECT_EQ(status.name, "v2");
  EXPECT_EQ(status.service, "orders");
  EXPECT_EQ(status.version, "2");
  EXPECT_EQ(status.health, HealthType::none);
  EXPECT_EQ(status.total, 3u);
  EXPECT_EQ(to_string(status.backends[0].endpoint), "10.0.1.21:8080");
  EXPECT_EQ(status.backends[0].weight, 3u);
  EXPECT_EQ(status.backends[0].zone, "a");
  EXPECT_EQ(v1().backends[2].tier, 1);
}

TEST_F(PoolStatusTest, EveryStateHasItsReason) {
  observed_.down.insert({"v1", endpoint("10.0.1.11:8080")});
  observed_.next_hops.erase(ip("10.0.1.12"));
  config_.pools[0].backends[2].drained = true;
  const PoolStatus status = v1();
  EXPECT_EQ(status.backends[0].state, BackendState::down);
  EXPECT_EQ(status.backends[1].state, BackendState::unresolved);
  EXPECT_EQ(status.backends[2].state, BackendState::drained);
  EXPECT_EQ(status.backends[3].state, BackendState::up);
  EXPECT_EQ(v2().backends[0].state, BackendState::unchecked);
  EXPECT_EQ(status.usable, 1u);
}

TEST_F(PoolStatusTest, DrainedAndDownComeBeforeUnresolved) {
  observed_.next_hops.clear();
  observed_.down.insert({"v1", endpoint("10.0.1.11:8080")});
  observed_.down.insert({"v1", endpoint("10.0.1.12:8080")});
  config_.pools[0].backends[0].drained = true;
  const PoolStatus status = v1();
  EXPECT_EQ(status.backends[0].state, BackendState::drained);
  EXPECT_EQ(status.backends[1].state, BackendState::down);
  EXPECT_EQ(status.usable, 0u);
}

TEST_F(PoolStatusTest, ServingIsWhatTheTablesHold) {
  observed_.down.insert({"v1", endpoint("10.0.1.11:8080")});
  for (int step = 0; step < 3; ++step) {
    if (step == 1) observed_.down.insert({"v1", endpoint("10.0.1.12:8080")});
    if (step == 2) observed_.next_hops.clear();
    const SnapshotPtr snapshot = compile_good(config_, observed_, registry_);
    std::set<uint16_t> in_tables;
    for (const model::Pool& pool : snapshot->pools) {
      in_tables.insert(pool.backends->begin(), pool.backends->end());
    }
    for (const PoolStatus& pool : pool_status(config_, observed_, registry_)) {
      for (const BackendStatus& backend : pool.backends) {
        EXPECT_EQ(backend.serving, in_tables.contains(backend.id))
            << "step " << step << " " << to_string(backend.endpoint);
      }
    }
  }
  EXPECT_EQ(v1().active_tier, 1);
}

TEST_F(PoolStatusTest, WeightZeroIsNotUsable) {
  config_.pools[1].backends[0].weight = 0;
  EXPECT_EQ(v2().usable, 2u);
  EXPECT_FALSE(v2().backends[0].serving);
}

TEST_F(PoolStatusTest, IdsComeWithTheFirstCompile) {
  EXPECT_EQ(v1().backends[0].id, model::no_backend);
  compile_good(config_, observed_, registry_);
  EXPECT_EQ(v1().backends[0].id, registry_.find_backend({"v1", endpoint("10.0.1.11:8080")})->id);
}

TEST(BackendStateNames, AreThoseOfTheControlSocket) {
  EXPECT_EQ(to_string(BackendState::up), "up");
  EXPECT_EQ(to_string(BackendState::down), "down");
  EXPECT_EQ(to_string(BackendState::drained), "drained");
  EXPECT_EQ(to_string(BackendState::unresolved), "unresolved");
  EXPECT_EQ(to_string(BackendState::unchecked), "unchecked");
}

}  // namespace
}  // namespace sluice::ctrl

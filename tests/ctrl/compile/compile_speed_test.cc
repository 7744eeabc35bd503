// How much CPU time compiling takes at the largest sizes, printed and not judged: machines differ.
// What is judged is that a small change builds few tables.
#include <gtest/gtest.h>
#include <time.h>

#include <cstdio>
#include <set>

#include "tests/ctrl/compile/lab.h"

namespace sluice::ctrl {
namespace {

struct Size {
  const char* name;
  uint32_t listeners;
  uint32_t pools;
  uint32_t backends_per_pool;
};

Config make_config(const Size& size) {
  Config config;
  uint32_t address = 0x0b000000;
  for (uint32_t p = 0; p < size.pools; ++p) {
    PoolConfig pool;
    pool.name = "pool-" + std::to_string(p);
    pool.health.type = HealthType::tcp;
    for (uint32_t b = 0; b < size.backends_per_pool; ++b) {
      pool.backends.push_back(
          {.address = IpAddress::from_v4_raw(swap32(address++)), .port = 8080, .zone = ""});
    }
    config.pools.push_back(std::move(pool));
  }
  for (uint32_t l = 0; l < size.listeners; ++l) {
    const std::string name = "listener-" + std::to_string(l);
    config.listeners.push_back({.name = name,
                                .address = IpAddress::from_v4_raw(swap32(0x0a000000 + l)),
                                .port_first = 80,
                                .port_last = 80});
    const uint32_t base = l % size.pools, canary = (l + 1) % size.pools;
    RuleConfig rule{.sources = {}, .backends = {{config.pools[base].name, 95}}};
    if (canary != base) rule.backends.push_back({config.pools[canary].name, 5});
    config.routes.push_back({.name = "route-" + name, .listeners = {name}, .rules = {rule}});
  }
  return config;
}

// CPU time of this thread: what else the machine does is no matter.
double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) * 1e3 + double(now.tv_nsec) / 1e6;
}

size_t new_tables(const model::Snapshot& before, const model::Snapshot& after) {
  std::set<const void*> old_tables, tables;
  const auto collect = [](const model::Snapshot& snapshot, std::set<const void*>& into) {
    for (const model::Pool& pool : snapshot.pools) into.insert(pool.backends.get());
    for (const model::Route& route : snapshot.routes) {
      for (const model::Rule& rule : route.rules) into.insert(rule.slots.get());
    }
  };
  collect(before, old_tables);
  collect(after, tables);
  size_t count = 0;
  for (const void* table : tables) count += !old_tables.contains(table);
  return count;
}

class CompileSpeedTest : public testing::TestWithParam<Size> {};

TEST_P(CompileSpeedTest, SmallChangesBuildFewTables) {
  Config config = make_config(GetParam());
  Observed observed = observe(config);
  Registry registry;
  double start = cpu_ms();
  const SnapshotPtr full = compile_good(config, observed, registry);
  const double full_ms = cpu_ms() - start;

  config.routes[0].rules[0].backends[0].weight = 90;
  start = cpu_ms();
  const SnapshotPtr weight = compile_good(config, observed, registry, full);
  const double weight_ms = cpu_ms() - start;
  EXPECT_LE(new_tables(*full, *weight), 1u);

  observed.down.insert({config.pools[0].name,
                        {config.pools[0].backends[0].address, config.pools[0].backends[0].port}});
  start = cpu_ms();
  const SnapshotPtr down = compile_good(config, observed, registry, weight);
  const double down_ms = cpu_ms() - start;
  EXPECT_EQ(new_tables(*weight, *down), 1u);

  std::printf("%s: full %.1f ms, one weight %.2f ms, one backend down %.2f ms\n", GetParam().name,
              full_ms, weight_ms, down_ms);
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, CompileSpeedTest,
    testing::Values(Size{"1000 listeners on one pool of 100", 1000, 1, 100},
                    Size{"1000 listeners on 100 pools of 100", 1000, 100, 100},
                    Size{"1000 listeners on 600 pools of 100 (60,000 backends)", 1000, 600, 100}));

}  // namespace
}  // namespace sluice::ctrl

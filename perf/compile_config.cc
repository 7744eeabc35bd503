#include "perf/compile_config.h"

#include <string>
#include <utility>

#include "dataplane/base/byte_order.h"

namespace sluice::perf {

using ctrl::BackendConfig;
using ctrl::Config;
using ctrl::Observed;
using ctrl::PoolConfig;
using ctrl::RuleConfig;

Config make_config(const ConfigSize& size) {
  Config config;
  uint32_t address = 0x0b00'0000;
  for (uint32_t p = 0; p < size.pools; ++p) {
    PoolConfig pool;
    pool.name = "pool-" + std::to_string(p);
    pool.health.type = ctrl::HealthType::tcp;
    for (uint32_t b = 0; b < size.backends; ++b) {
      pool.backends.push_back(
          {.address = IpAddress::from_v4_raw(swap32(address++)), .port = 8080, .zone = ""});
    }
    config.pools.push_back(std::move(pool));
  }
  for (uint32_t l = 0; l < size.listeners; ++l) {
    const std::string name = "listener-" + std::to_string(l);
    config.listeners.push_back({.name = name,
                                .address = IpAddress::from_v4_raw(swap32(0x0a00'0000 + l)),
                                .port_first = 80,
                                .port_last = 80});
    const uint32_t base = l % size.pools, canary = (l + 1) % size.pools;
    RuleConfig rule{.sources = {}, .backends = {{config.pools[base].name, 95}}};
    if (canary != base) rule.backends.push_back({config.pools[canary].name, 5});
    config.routes.push_back({.name = "route-" + name, .listeners = {name}, .rules = {rule}});
  }
  return config;
}

Observed observe(const Config& config) {
  Observed observed;
  observed.ports.resize(1);
  observed.ports[0].present = true;
  for (const PoolConfig& pool : config.pools) {
    for (const BackendConfig& backend : pool.backends) {
      observed.next_hops[backend.address] = {.resolved = true, .port = 0, .destination = {}};
    }
  }
  return observed;
}

}  // namespace sluice::perf

// A small node to compile: two ports, dual-stack pools, and a network that resolved everything.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "ctrl/compile/compile.h"
#include "ctrl/config/config.h"

namespace sluice::ctrl {

using SnapshotPtr = std::shared_ptr<const model::Snapshot>;

inline IpAddress ip(std::string_view text) { return parse_ip(text).value(); }
inline Endpoint endpoint(std::string_view text) { return parse_endpoint(text).value(); }

inline Config parse_good(std::string_view text) {
  const ParseOutcome outcome = parse_config(text, "lab.toml");
  for (const ConfigError& error : outcome.errors) ADD_FAILURE() << to_string(error);
  return outcome.config;
}

/// Every backend of `config` has a next hop on port 0.
inline Observed observe(const Config& config) {
  Observed observed;
  observed.ports.resize(2);
  for (model::Port& port : observed.ports) port.present = true;
  observed.decision_key.bytes[3] = 7;
  for (const PoolConfig& pool : config.pools) {
    for (const BackendConfig& backend : pool.backends) {
      observed.next_hops[backend.address] = {.resolved = true, .port = 0, .destination = {}};
    }
  }
  return observed;
}

inline SnapshotPtr compile_good(const Config& config, const Observed& observed, Registry& registry,
                                const SnapshotPtr& previous = nullptr) {
  auto snapshot = compile(config, observed, registry, previous.get());
  if (!snapshot) {
    ADD_FAILURE() << snapshot.error().message;
    return nullptr;
  }
  return *snapshot;
}

inline constexpr std::string_view lab_toml = R"(
[[port]]
name = "front"
device = "null"
addresses = ["10.0.0.2/24", "fd00:1::2/64"]

[[pool]]
name = "v1"
service = "orders"
version = "1"
backends = [
  { address = "10.0.1.11", port = 8080 },
  { address = "10.0.1.12", port = 8080 },
  { address = "10.0.9.11", port = 8080, tier = 1 },
  { address = "fd00:2::11", port = 8080 },
]
health = { type = "tcp" }

[[pool]]
name = "v2"
service = "orders"
version = "2"
backends = [
  { address = "10.0.1.21", port = 8080, weight = 3, zone = "a" },
  { address = "10.0.1.22", port = 8080 },
  { address = "fd00:2::21", port = 8080 },
]

[[listener]]
name = "orders"
protocol = "tcp"
address = "10.0.0.100"
port = 80
[[listener]]
name = "orders-6"
protocol = "tcp"
address = "fd00:1::100"
port = 80
[[listener]]
name = "orders-udp"
protocol = "udp"
address = "10.0.0.100"
ports = "8000-8100"

[[route]]
name = "orders"
listeners = ["orders", "orders-6"]
[[route.rule]]
matches = [{ source = "10.5.0.0/16" }]
backends = [{ pool = "v2" }]
[[route.rule]]
backends = [{ pool = "v1", weight = 95 }, { pool = "v2", weight = 5 }]

[[route]]
name = "orders-udp"
listeners = ["orders-udp"]
[[route.rule]]
backends = [{ pool = "v1", weight = 95 }, { pool = "v2", weight = 5 }]
)";

}  // namespace sluice::ctrl

// Config: what a configuration file says, checked but not compiled. A value: no threads, no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ctrl/config/govern_config.h"
#include "ctrl/config/health_config.h"
#include "dataplane/base/address.h"
#include "dataplane/base/hash.h"
#include "dataplane/model/snapshot.h"

namespace sluice::ctrl {

inline constexpr uint32_t weight_max = 1'000'000;  // of a pool in a rule, of a backend in a pool

enum class IdleMode : uint8_t { busy, adaptive };

struct NodeConfig {
  std::string name = "sluice";
  unsigned main_core = 0;
  std::vector<unsigned> worker_cores = {1};
  IdleMode idle = IdleMode::busy;
  uint32_t memory_mb = 1024;
  uint32_t max_flows = 1'048'576;
  std::optional<HashKey> hash_key;  // absent: drawn at first start, kept in the state directory
  bool operator==(const NodeConfig&) const = default;
};

struct PortConfig {
  std::string name;
  std::string device;
  unsigned queues = 0;  // 0: one per worker where the device can
  std::vector<Prefix> addresses;
  std::vector<IpAddress> snat_addresses;  // empty: the port's own addresses
  std::string tap;                        // kernel interface; default "tap-" + name
  bool operator==(const PortConfig&) const = default;
};

struct ControlConfig {
  std::string socket = "/run/sluice/control.sock";
  std::string state_dir = "/var/lib/sluice";
  bool operator==(const ControlConfig&) const = default;
};

struct AdminConfig {
  std::optional<Endpoint> listen;
  bool operator==(const AdminConfig&) const = default;
};

struct BackendConfig {
  IpAddress address;
  uint16_t port = 0;
  uint32_t weight = 1;
  uint8_t tier = 0;
  std::string zone;
  bool drained = false;  // by `sluice drain`, never from a file
  bool operator==(const BackendConfig&) const = default;
};

struct PoolConfig {
  std::string name;
  std::string service;
  std::string version;
  std::vector<BackendConfig> backends;
  HealthConfig health;
  model::OnEmpty on_empty = model::OnEmpty::reject;
  PanicPolicy panic = PanicPolicy::none;  // when fewer than this share of the backends is well
  uint8_t panic_below_percent = 50;
  LabelMap labels = {};
  bool operator==(const PoolConfig&) const = default;
};

struct ListenerConfig {
  std::string name;
  uint8_t protocol = protocol_tcp;
  IpAddress address;
  uint16_t port_first = 0;
  uint16_t port_last = 0;
  model::Mode mode = model::Mode::nat;
  bool operator==(const ListenerConfig&) const = default;
};

struct PoolRefConfig {
  std::string pool;
  uint32_t weight = 1;
  bool operator==(const PoolRefConfig&) const = default;
};

struct RuleConfig {
  std::vector<Prefix> sources;  // matches = [{ source = "10.0.0.0/8" }]; empty: all
  std::vector<PoolRefConfig> backends;
  bool operator==(const RuleConfig&) const = default;
};

struct RouteConfig {
  std::string name;
  std::vector<std::string> listeners;
  std::vector<RuleConfig> rules;
  bool approval = false;  // a change needs the approval of a second person
  LabelMap labels = {};
  bool operator==(const RouteConfig&) const = default;
};

struct Config {
  NodeConfig node;
  std::vector<PortConfig> ports;
  ControlConfig control;
  AdminConfig admin;
  model::Timeouts timeouts;
  std::vector<PoolConfig> pools;
  std::vector<ListenerConfig> listeners;
  std::vector<RouteConfig> routes;
  GovernConfig govern = {};
  bool operator==(const Config&) const = default;
};

/// One mistake in a file. Line and column start at 1; 0 when the mistake has no place.
struct ConfigError {
  std::string file;
  uint32_t line = 0;
  uint32_t column = 0;
  std::string key;  // "listener[0].port"
  std::string message;
};

/// "edge.toml:12:8: listener[0].port: must be an integer 1..65535, got 0"
std::string to_string(const ConfigError& error);

struct ParseOutcome {
  Config config;                    // meaningful only when errors is empty
  std::vector<ConfigError> errors;  // every mistake of the file, in file order
};

/// Parses and validates `text`; `file` is only a name for messages. Pure. Never throws, whatever
/// the bytes: a file too large, too deep or not TOML is a mistake with a place like any other.
ParseOutcome parse_config(std::string_view text, std::string_view file);

/// What operators changed since the file was applied: weights and drains. Kept beside the text in
/// every generation; applied over the parsed file.
struct Overlay {
  /// route → rule index → pool → weight
  std::map<std::string, std::map<uint32_t, std::map<std::string, uint32_t>>> weights;
  /// pool → endpoints drained; the empty set of endpoints means the whole pool
  std::map<std::string, std::vector<Endpoint>> drained;
  bool operator==(const Overlay&) const = default;
};

/// Fails (naming the route, pool or backend) when the overlay names something that is not there.
Result<Config> apply_overlay(Config config, const Overlay& overlay);

}  // namespace sluice::ctrl

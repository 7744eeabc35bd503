// Draft: a configuration as it is read, beside the places in the file that its parts come from, so
// that checks across sections can point at both ends of a contradiction. Lives during one
// parse_config().
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "ctrl/config/config.h"
#include "ctrl/config/reader.h"

namespace sluice::ctrl {

/// A place is absent when the value is missing or was already reported.
using MaybeValue = std::optional<Value>;

struct PortPlaces {
  MaybeValue name, device, tap;  // no tap: the default, made of the name
  bool tap_is_bad = false;
  std::vector<Value> addresses;  // as PortConfig::addresses
  std::vector<Value> snat_addresses;
};

struct PoolPlaces {
  Value self;
  MaybeValue name = {};
  std::vector<Value> backends = {};  // as PoolConfig::backends
  bool whole = true;                 // false: backends are missing because they were reported
};

struct ListenerPlaces {
  MaybeValue name, address, port;
};

struct RulePlaces {
  Value self;
  std::vector<Value> sources = {};   // as RuleConfig::sources
  std::vector<Value> backends = {};  // as RuleConfig::backends; the values of `pool`
  bool whole = true;                 // false: sources are missing because they were reported
};

struct RoutePlaces {
  Value self;
  MaybeValue name = {};
  std::vector<Value> listeners = {};  // as RouteConfig::listeners
  std::vector<RulePlaces> rules = {};
};

struct GovernPlaces {
  struct Named {
    Value self;
    MaybeValue name = {};
  };
  std::vector<Named> roles = {}, freezes = {}, policies = {};
  MaybeValue timeouts = {};  // the section of the node's timeouts
};

inline constexpr std::array<std::string_view, 6> timeout_keys = {
    "tcp_syn", "tcp_established", "tcp_closing", "tcp_closed", "udp_new", "udp_established"};

/// Each vector of places runs parallel to the one of the same name in `config`.
struct Draft {
  Config config;
  std::vector<PortPlaces> ports;
  std::vector<PoolPlaces> pools;
  std::vector<ListenerPlaces> listeners;
  std::vector<RoutePlaces> routes;
  GovernPlaces govern;
};

// One section each; mistakes go where the values were told to put them.
void read_node(const Value& table, NodeConfig& node);
void read_control(const Value& table, ControlConfig& control);
void read_admin(const Value& table, AdminConfig& admin);
void read_timeouts(const Value& table, model::Timeouts& timeouts);
void read_port(const Value& table, Draft& draft);
void read_health(const Value& value, HealthConfig& health);
void read_pool(const Value& table, Draft& draft);
void read_listener(const Value& table, Draft& draft);
void read_route(const Value& table, Draft& draft);
void read_role(const Value& table, Draft& draft);
void read_freeze(const Value& table, Draft& draft);
void read_policy(const Value& table, Draft& draft);
void read_approval(const Value& table, GovernConfig& govern);
void read_labels(const std::optional<Value>& table, LabelMap& labels);

/// What no section can see alone: names used twice, references to nothing, addresses in conflict.
void check_ports(const Draft& draft);
void check_pools(const Draft& draft, Mistakes& mistakes);
void check_listeners(const Draft& draft);
void check_routes(const Draft& draft, Mistakes& mistakes);
/// Whether the file keeps its own policies; fills in the timeouts that they give.
void check_govern(Draft& draft);

}  // namespace sluice::ctrl

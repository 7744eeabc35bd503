#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "ctrl/config/draft.h"
#include "ctrl/config/values.h"

namespace sluice::ctrl {
namespace {

using namespace std::string_view_literals;

constexpr size_t matches_max = 1024;
constexpr size_t listeners_of_route_max = 1024;
constexpr size_t rules_max = 1024;

std::optional<uint8_t> read_protocol(const Value& value) {
  static constexpr std::array supported = {"tcp"sv, "udp"sv};
  static constexpr std::array known = {"tls"sv, "http"sv, "https"sv};
  const auto index = value.choice(supported, known);
  if (!index) return std::nullopt;
  return *index == 1 ? protocol_udp : protocol_tcp;
}

void read_listener_port(TableReader& table, ListenerConfig& listener, ListenerPlaces& places) {
  auto port = table.optional("port");
  auto ports = table.optional("ports");
  if (port && ports) {
    ports->reject("give either `port` or `ports`");
  } else if (port) {
    const auto number = port->integer(1, 65'535);
    listener.port_first = listener.port_last = number.value_or(0);
    if (number) places.port = std::move(port);
  } else if (ports) {
    const auto range = read_port_range(*ports);
    if (range) std::tie(listener.port_first, listener.port_last) = *range;
    if (range) places.port = std::move(ports);
  } else if (table.is_table()) {
    table.self().mistakes().add(table.self().node().place, table.self().key() + ".port",
                                "required, but missing; `ports = \"8000-8100\"` gives a range");
  }
}

void read_match(const Value& value, RuleConfig& rule, RulePlaces& places) {
  TableReader match(value);
  match.unsupported({"path", "host", "method", "headers", "query", "sni"});
  bool good = false;
  const auto source =
      match.uses_unsupported() ? match.optional("source") : match.required("source");
  if (source) {
    if (const auto network = read_network(*source)) {
      rule.sources.push_back(*network);
      places.sources.push_back(*source);
      good = true;
    }
  }
  if (!good) places.whole = false;
  match.finish();
}

void read_pool_ref(const Value& value, RuleConfig& rule, RulePlaces& places, uint64_t& weights) {
  TableReader table(value);
  PoolRefConfig ref;
  const auto pool = table.required("pool");
  const auto name = pool ? read_name(*pool) : std::nullopt;
  if (const auto weight = table.optional("weight")) {
    ref.weight = weight->integer(0, weight_max).value_or(ref.weight);
  }
  weights += ref.weight;
  table.finish();
  if (!name) return;
  ref.pool = *name;
  rule.backends.push_back(std::move(ref));
  places.backends.push_back(*pool);
}

void read_rule(const Value& value, RouteConfig& route, RoutePlaces& route_places) {
  TableReader table(value);
  table.unsupported({"filters", "name", "mode", "mirror", "timeout", "retry"});
  RuleConfig rule;
  RulePlaces places{.self = value};
  if (const auto matches = table.optional("matches")) {
    const auto items = matches->items("matches", 1, matches_max);
    places.whole = items.has_value();
    for (const Value& item : items.value_or(std::vector<Value>{})) read_match(item, rule, places);
  }
  if (const auto backends = table.required("backends")) {
    const auto items = backends->items("pools", 1, model::pools_per_rule_max);
    uint64_t weights = 0;
    for (const Value& item : items.value_or(std::vector<Value>{})) {
      read_pool_ref(item, rule, places, weights);
    }
    if (items && weights == 0) {
      backends->reject("every pool has weight 0, at least one must have more");
    }
  }
  table.finish();
  route.rules.push_back(std::move(rule));
  route_places.rules.push_back(std::move(places));
}

}  // namespace

void read_listener(const Value& value, Draft& draft) {
  TableReader table(value);
  table.unsupported({"trusted_headers", "trusted_sources", "certificate", "key"});
  ListenerConfig listener;
  ListenerPlaces places;
  if (auto name = table.required("name")) {
    if (auto text = read_name(*name)) {
      listener.name = *text;
      places.name = std::move(name);
    }
  }
  const auto protocol_value = table.required("protocol");
  const auto protocol = protocol_value ? read_protocol(*protocol_value) : std::nullopt;
  listener.protocol = protocol.value_or(protocol_tcp);
  if (auto address = table.required("address")) {
    if (const auto parsed = read_host_address(*address)) {
      listener.address = *parsed;
      places.address = std::move(address);
    }
  }
  read_listener_port(table, listener, places);
  if (!protocol) places.port.reset();  // whether it overlaps another one cannot be said
  if (const auto mode = table.optional("mode")) {
    static constexpr std::array supported = {"nat"sv};
    static constexpr std::array known = {"dnat"sv, "dsr"sv, "ipip"sv, "gue"sv, "proxy"sv};
    mode->choice(supported, known);
  }
  table.finish();
  draft.config.listeners.push_back(std::move(listener));
  draft.listeners.push_back(std::move(places));
}

void read_route(const Value& value, Draft& draft) {
  TableReader table(value);
  table.unsupported({"owners", "mode", "mirror"});
  RouteConfig route;
  RoutePlaces places{.self = value};
  if (auto name = table.required("name")) {
    if (auto text = read_name(*name)) {
      route.name = *text;
      places.name = std::move(name);
    }
  }
  if (const auto listeners = table.required("listeners")) {
    const auto items = listeners->items("listeners", 1, listeners_of_route_max);
    for (const Value& item : items.value_or(std::vector<Value>{})) {
      const auto name = read_name(item);
      if (!name) continue;
      route.listeners.push_back(*name);
      places.listeners.push_back(item);
    }
  }
  if (const auto rules = table.required("rule")) {
    for (const Value& rule : rules->tables(1, rules_max)) read_rule(rule, route, places);
  }
  if (const auto approval = table.optional("approval")) {
    static constexpr std::array words = {"none"sv, "required"sv};
    route.approval = approval->choice(words).value_or(0) == 1;
  }
  read_labels(table.optional("labels"), route.labels);
  table.finish();
  draft.config.routes.push_back(std::move(route));
  draft.routes.push_back(std::move(places));
}

}  // namespace sluice::ctrl

#include "ctrl/control/config_view.h"

#include <fmt/format.h>

#include "ctrl/control/status_view.h"

namespace sluice::ctrl {
namespace {

Json node_json(const NodeConfig& node) {
  return {{"name", node.name},
          {"main_core", node.main_core},
          {"worker_cores", node.worker_cores},
          {"idle", node.idle == IdleMode::adaptive ? "adaptive" : "busy"},
          {"memory_mb", node.memory_mb},
          {"max_flows", node.max_flows},
          {"hash_key", node.hash_key ? "configured" : "drawn"}};
}

Json port_json(const PortConfig& port) {
  Json addresses = Json::array(), snat_addresses = Json::array();
  for (const Prefix& address : port.addresses) addresses.push_back(to_string(address));
  for (const IpAddress& address : port.snat_addresses) {
    snat_addresses.push_back(to_string(address));
  }
  return {{"name", port.name},     {"device", port.device},
          {"queues", port.queues}, {"addresses", std::move(addresses)},
          {"tap", port.tap},       {"snat_addresses", std::move(snat_addresses)}};
}

Json backend_json(const BackendConfig& backend) {
  return {{"address", to_string(backend.address)},
          {"port", backend.port},
          {"weight", backend.weight},
          {"tier", backend.tier},
          {"zone", backend.zone},
          {"drained", backend.drained}};
}

Json health_json(const HealthConfig& health) {
  if (health.type == HealthType::none) return nullptr;
  return {{"type", to_string(health.type)},
          {"description", describe(health)},
          {"interval_ms", health.interval_ms},
          {"timeout_ms", health.timeout_ms},
          {"rise", health.rise},
          {"fall", health.fall},
          {"flap_hold_ms", health.flap_hold_ms},
          {"flap_hold_max_ms", health.flap_hold_ms_max},
          {"flap_window_ms", health.flap_window_ms},
          {"slow_start_ms", health.slow_start_ms},
          {"passive_failures", health.passive.failures},
          {"passive_window_ms", health.passive.window_ms},
          {"passive_eject", health.passive.eject}};
}

Json pool_json(const PoolConfig& pool) {
  Json backends = Json::array();
  for (const BackendConfig& backend : pool.backends) backends.push_back(backend_json(backend));
  return {{"name", pool.name},
          {"service", pool.service},
          {"version", pool.version},
          {"labels", pool.labels},
          {"on_empty", pool.on_empty == model::OnEmpty::drop ? "drop" : "reject"},
          {"health", health_json(pool.health)},
          {"panic", to_string(pool.panic)},
          {"panic_below_percent", pool.panic_below_percent},
          {"backends", std::move(backends)}};
}

Json listener_json(const ListenerConfig& listener) {
  return {{"name", listener.name},
          {"protocol", protocol_name(listener.protocol)},
          {"address", to_string(listener.address)},
          {"port", port_json(listener)},
          {"mode", "nat"}};
}

Json route_json(const RouteConfig& route) {
  Json rules = Json::array();
  for (const RuleConfig& rule : route.rules) {
    Json sources = Json::array(), backends = Json::array();
    for (const Prefix& source : rule.sources) sources.push_back(to_string(source));
    for (const PoolRefConfig& ref : rule.backends) {
      backends.push_back({{"pool", ref.pool}, {"weight", ref.weight}});
    }
    rules.push_back({{"sources", std::move(sources)}, {"backends", std::move(backends)}});
  }
  return {{"name", route.name},
          {"listeners", route.listeners},
          {"approval", route.approval ? "required" : "none"},
          {"labels", route.labels},
          {"rules", std::move(rules)}};
}

Json backends_json(const Config& config) {
  Json items = Json::array();
  for (const PoolConfig& pool : config.pools) {
    for (const BackendConfig& backend : pool.backends) {
      Json item = backend_json(backend);
      item["pool"] = pool.name;
      item["name"] = to_string(Endpoint{backend.address, backend.port});
      items.push_back(std::move(item));
    }
  }
  return items;
}

template <typename Items>
Json all_of(const Items& items, Json (*one)(const typename Items::value_type&)) {
  Json list = Json::array();
  for (const auto& item : items) list.push_back(one(item));
  return list;
}

Json routes_json(const Controller& controller) {
  Json items = all_of(controller.config().routes, &route_json);
  controller.conditions().refresh();
  for (Json& item : items) {
    const std::string name = item["name"];
    item["conditions"] = controller.conditions().json(name);
    item["draining"] = draining_json(gather_draining(controller, name));
  }
  return items;
}

Result<Json> items_of(const Controller& controller, const std::string& kind) {
  const Config& config = controller.config();
  if (kind == "node") return Json::array({node_json(config.node)});
  if (kind == "port") return all_of(config.ports, &port_json);
  if (kind == "pool") return all_of(config.pools, &pool_json);
  if (kind == "backend") return backends_json(config);
  if (kind == "listener") return all_of(config.listeners, &listener_json);
  if (kind == "route") return routes_json(controller);
  return fail(fmt::format(
      "there is no kind {}; get node, port, pool, backend, listener, route or config", kind));
}

}  // namespace

Result<Json> config_view(const Controller& controller, const std::string& kind,
                         const std::string& name) {
  if (kind == "config") {
    return Json{{"text", controller.content().text},
                {"file", controller.content().file},
                {"overlay", to_json(controller.content().overlay)},
                {"holders", to_json(controller.content().holders)},
                {"generation", controller.generation()}};
  }
  auto items = items_of(controller, kind);
  if (!items) return std::unexpected(items.error());
  if (name.empty()) return Json{{"items", std::move(*items)}};
  Json named = Json::array();
  for (Json& item : *items) {
    if (item["name"] == name) named.push_back(std::move(item));
  }
  if (named.empty()) return fail(fmt::format("there is no {} {}", kind, name));
  return Json{{"items", std::move(named)}};
}

}  // namespace sluice::ctrl

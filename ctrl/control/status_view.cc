#include "ctrl/control/status_view.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <unordered_map>

#include "ctrl/compile/pool_status.h"
#include "ctrl/control/config_lookup.h"

namespace sluice::ctrl {
namespace {

double milliseconds(uint64_t ns) { return double(ns) / 1e6; }

Json ago_ms(uint64_t now_ns, uint64_t then_ns) {
  if (then_ns == 0) return nullptr;
  return now_ns > then_ns ? milliseconds(now_ns - then_ns) : 0.0;
}

Json workers_json(const Controller& controller) {
  Json workers = Json::array();
  const auto& cores = controller.config().node.worker_cores;
  const dataplane::Engine& engine = controller.engine();
  for (unsigned i = 0; i < engine.worker_count(); i++) {
    const dataplane::WorkerCounters& counters = engine.counters(i);
    const dataplane::Acknowledgement acknowledged = engine.acknowledgement(i);
    workers.push_back({{"worker", i},
                       {"core", i < cores.size() ? Json(cores[i]) : Json(nullptr)},
                       {"revision", acknowledged.revision},
                       {"generation", acknowledged.generation},
                       {"acknowledged_ago_ms", ago_ms(controller.now_ns(), acknowledged.at_ns)},
                       {"flows_v4", counters.flows_v4.get()},
                       {"flows_v6", counters.flows_v6.get()},
                       {"busy_percent", 100 * controller.busy().ratio(i)},
                       {"sleeps", counters.sleeps.get()},
                       {"rx_packets", counters.rx_packets.get()},
                       {"handoff_out", counters.handoff_out.get()}});
  }
  return workers;
}

Json ports_json(const Controller& controller, const Identity& identity) {
  Json ports = Json::array();
  const dataplane::Engine& engine = controller.engine();
  for (size_t i = 0; i < identity.ports.size(); i++) {
    const nic::PortInfo& info = identity.ports[i];
    uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
    for (unsigned worker = 0; worker < engine.worker_count(); worker++) {
      const dataplane::PortCounters& counters = engine.counters(worker).ports[info.id];
      rx_packets += counters.rx_packets.get();
      rx_bytes += counters.rx_bytes.get();
      tx_packets += counters.tx_packets.get();
      tx_bytes += counters.tx_bytes.get();
    }
    Json port = {{"name", info.name},
                 {"device", info.device},
                 {"driver", info.driver},
                 {"mac", to_string(info.mac)},
                 {"mtu", info.mtu},
                 {"queues", info.queues},
                 {"tap", i < identity.taps.size() ? identity.taps[i] : ""},
                 {"capabilities", info.capabilities},
                 {"rx_packets", rx_packets},
                 {"rx_bytes", rx_bytes},
                 {"tx_packets", tx_packets},
                 {"tx_bytes", tx_bytes}};
    if (identity.device_stats) {
      const nic::DeviceStats device = identity.device_stats(info.id);
      port["link_up"] = device.link_up;
      port["rx_missed"] = device.rx_missed;
      port["rx_errors"] = device.rx_errors;
      port["tx_errors"] = device.tx_errors;
    }
    ports.push_back(std::move(port));
  }
  return ports;
}

Json listeners_json(const Controller& controller) {
  std::unordered_map<std::string_view, Json> routes_of;
  for (const RouteConfig& route : controller.config().routes) {
    for (const std::string& listener : route.listeners) {
      routes_of.try_emplace(listener, Json::array()).first->second.push_back(route.name);
    }
  }
  Json listeners = Json::array();
  for (const ListenerConfig& listener : controller.config().listeners) {
    const auto routes = routes_of.find(listener.name);
    listeners.push_back({{"name", listener.name},
                         {"protocol", protocol_name(listener.protocol)},
                         {"address", to_string(listener.address)},
                         {"port", port_json(listener)},
                         {"mode", "nat"},
                         {"routes", routes == routes_of.end() ? Json::array() : routes->second}});
  }
  return listeners;
}

Json ref_json(const Controller& controller, const PoolIndex& index, const PoolRefConfig& ref,
              const RefKey& key, uint32_t slots) {
  const PoolConfig* pool = index.find(ref.pool);
  const auto id = controller.registry().find_ref(key);
  const RefTotals totals = id ? controller.sampler().ref(*id) : RefTotals{};
  return {{"pool", ref.pool},
          {"service", pool == nullptr ? "" : pool->service},
          {"version", pool == nullptr ? "" : pool->version},
          {"weight", ref.weight},
          {"slots", slots},
          {"share", double(slots) / model::slot_count},
          {"decisions", totals.decisions},
          {"refused", totals.refused},
          {"decisions_since_generation", id ? controller.decisions_since_generation(*id) : 0},
          {"active", totals.active()},
          {"last_decision_ago_ms", ago_ms(controller.now_ns(), totals.last_decision_ns)}};
}

Json routes_json(const Controller& controller, SlotCounts& slot_counts) {
  Json routes = Json::array();
  const PoolIndex index(controller.config());
  controller.conditions().refresh();
  std::unordered_map<std::string_view, const model::Route*> all_published;
  for (const model::Route& route : controller.snapshot().routes) {
    all_published.emplace(route.name, &route);
  }
  for (size_t i = 0; i < controller.config().routes.size(); i++) {
    const RouteConfig& route = controller.config().routes[i];
    const auto published = all_published.find(route.name);
    Json rules = Json::array();
    for (uint32_t r = 0; r < route.rules.size(); r++) {
      std::vector<uint32_t> slots;
      if (published != all_published.end() && r < published->second->rules.size()) {
        slots = slot_counts.of(published->second->rules[r]);
      }
      Json sources = Json::array(), pools = Json::array();
      for (const Prefix& source : route.rules[r].sources) sources.push_back(to_string(source));
      for (size_t p = 0; p < route.rules[r].backends.size(); p++) {
        const PoolRefConfig& ref = route.rules[r].backends[p];
        pools.push_back(ref_json(controller, index, ref, {route.name, r, ref.pool},
                                 p < slots.size() ? slots[p] : 0));
      }
      rules.push_back({{"sources", std::move(sources)}, {"pools", std::move(pools)}});
    }
    routes.push_back({{"name", route.name},
                      {"listeners", route.listeners},
                      {"rules", rules},
                      {"conditions", controller.conditions().json(route.name)},
                      {"draining", draining_json(gather_draining(controller, route.name))}});
  }
  return routes;
}

Json backend_json(const Controller& controller, const std::string& pool,
                  const BackendStatus& backend) {
  const HealthState* health = controller.node().health({pool, backend.endpoint});
  std::string reason;
  if (backend.state == BackendState::down && health != nullptr) reason = health->reason;
  if (health != nullptr && health->suspected) reason = health->reason;
  if (backend.state == BackendState::unresolved) {
    reason = controller.node().describe_next_hop(backend.endpoint.address);
  }
  const bool known = backend.id != model::no_backend;
  const BackendSample totals = known ? controller.sampler().backend(backend.id) : BackendSample{};
  const BackendTrouble trouble =
      known ? controller.sampler().trouble(backend.id) : BackendTrouble{};
  const uint64_t now_ms = unix_ms_now();
  const bool timed = health != nullptr && health->since_ms > 0 && health->since_ms <= now_ms;
  return {{"address", to_string(backend.endpoint.address)},
          {"port", backend.endpoint.port},
          {"weight", backend.weight},
          {"tier", backend.tier},
          {"zone", backend.zone},
          {"state", to_string(backend.state)},
          {"serving", backend.serving},
          {"weight_percent", backend.weight_percent},
          {"suspected", health != nullptr && health->suspected},
          {"hold_ms", health == nullptr ? 0 : health->hold_ms(controller.now_ns())},
          {"since_ms", timed ? Json(now_ms - health->since_ms) : Json(nullptr)},
          {"reason", reason},
          {"active", totals.active()},
          {"connections", totals.connections},
          {"handshakes_refused", trouble.refused},
          {"handshakes_unanswered", trouble.unanswered}};
}

Json pools_json(const Controller& controller) {
  Json pools = Json::array();
  const auto statuses =
      pool_status(controller.config(), controller.observed(), controller.registry());
  for (const PoolStatus& pool : statuses) {
    Json backends = Json::array();
    for (const BackendStatus& backend : pool.backends) {
      backends.push_back(backend_json(controller, pool.name, backend));
    }
    pools.push_back({{"name", pool.name},
                     {"service", pool.service},
                     {"version", pool.version},
                     {"health", to_string(pool.health)},
                     {"active_tier", pool.active_tier},
                     {"usable", pool.usable},
                     {"total", pool.total},
                     {"panic", to_string(pool.panic)},
                     {"panic_active", pool.panic_active != PanicPolicy::none},
                     {"backends", std::move(backends)}});
  }
  return pools;
}

Json verdicts_json(const dataplane::Engine& engine) {
  Json verdicts = Json::object();
  for (size_t v = 1; v < verdict_count; v++) {
    uint64_t packets = 0;
    for (unsigned worker = 0; worker < engine.worker_count(); worker++) {
      packets += engine.counters(worker).verdicts[v].get();
    }
    verdicts[std::string(verdict_names[v])] = packets;
  }
  return verdicts;
}

}  // namespace

Json port_json(const ListenerConfig& listener) {
  if (listener.port_first == listener.port_last) return listener.port_first;
  return fmt::format("{}-{}", listener.port_first, listener.port_last);
}

Json conditions_view(const Controller& controller, const std::string& route) {
  ConditionKeeper& keeper = controller.conditions();
  keeper.refresh();
  Json routes = Json::array();
  for (const RouteConfig& each : controller.config().routes) {
    if (!route.empty() && each.name != route) continue;
    routes.push_back({{"name", each.name},
                      {"conditions", keeper.json(each.name)},
                      {"draining", draining_json(gather_draining(controller, each.name))}});
  }
  return {{"generation", controller.generation()},
          {"revision", controller.revision()},
          {"proof", keeper.newest_proof()},
          {"routes", std::move(routes)}};
}

std::string protocol_name(uint8_t protocol) { return protocol == protocol_udp ? "udp" : "tcp"; }

Json status_view(const Controller& controller, const Identity& identity, SlotCounts& slots) {
  return {{"name", controller.config().node.name},
          {"version", identity.version},
          {"pid", ::getpid()},
          {"uptime_s", milliseconds(controller.now_ns() - identity.started_ns) / 1000.0},
          {"generation", controller.generation()},
          {"revision", controller.revision()},
          {"confirm", controller.pending_json()},
          {"proof", controller.conditions().newest_proof()},
          {"workers", workers_json(controller)},
          {"ports", ports_json(controller, identity)},
          {"listeners", listeners_json(controller)},
          {"routes", routes_json(controller, slots)},
          {"pools", pools_json(controller)},
          {"verdicts", verdicts_json(controller.engine())}};
}

}  // namespace sluice::ctrl

#include "ctrl/control/health_view.h"

#include <fmt/format.h>
#include <time.h>

#include <chrono>

#include "ctrl/compile/pool_status.h"
#include "ctrl/control/config_lookup.h"

namespace sluice::ctrl {
namespace {

double milliseconds(uint64_t ns) { return double(ns) / 1e6; }

uint64_t unix_ms_now() {
  using namespace std::chrono;
  return uint64_t(
      duration_cast<std::chrono::milliseconds>(system_clock::now().time_since_epoch()).count());
}

Json prober_json(const ProberStats& stats) {
  return {{"probed", stats.probed},
          {"backends", stats.backends},
          {"under_way", stats.under_way},
          {"waiting", stats.waiting},
          {"succeeded", stats.succeeded},
          {"failed", stats.failed},
          {"skipped", stats.skipped},
          {"no_socket", stats.no_socket},
          {"late_p50_ms", stats.lateness.recent_ms(0.50)},
          {"late_p99_ms", stats.lateness.recent_ms(0.99)},
          {"late_max_ms", stats.lateness.recent_max_ms()}};
}

Json last_json(const HealthReport& report, uint64_t now_ns) {
  if (report.last_ns == 0 && !report.state.checked) return nullptr;
  return {{"ok", report.last.ok},
          {"text", report.last.text},
          {"latency_ms", double(report.last.latency_us) / 1e3},
          {"ago_ms", milliseconds(now_ns > report.last_ns ? now_ns - report.last_ns : 0)}};
}

Json certificate_days(const HealthReport& report) {
  if (report.last.certificate_expires_s == 0) return nullptr;
  return double(report.last.certificate_expires_s - ::time(nullptr)) / 86'400;
}

Json backend_json(const Controller& controller, const std::string& pool,
                  const BackendStatus& backend) {
  Json json = {{"backend", to_string(backend.endpoint)},
               {"state", to_string(backend.state)},
               {"serving", backend.serving},
               {"weight", backend.weight},
               {"weight_percent", backend.weight_percent},
               {"tier", backend.tier}};
  const auto report = controller.node().health_report({pool, backend.endpoint});
  if (!report) return json;
  const HealthState& state = report->state;
  const uint64_t now_ns = controller.now_ns(), now_ms = unix_ms_now();
  json["up"] = state.up;
  json["suspected"] = state.suspected;
  json["reason"] = state.reason;
  json["since_ms"] = now_ms > state.since_ms ? now_ms - state.since_ms : 0;
  json["successes"] = state.successes;
  json["failures"] = state.failures;
  json["flaps"] = state.flaps;
  json["hold_ms"] = state.hold_ms(now_ns);
  json["last"] = last_json(*report, now_ns);
  json["next_ms"] = report->next_ns == 0       ? Json(nullptr)
                    : report->next_ns > now_ns ? Json(milliseconds(report->next_ns - now_ns))
                                               : Json(0.0);
  json["interval_ms"] = report->interval_ms;
  json["shared_by"] = report->shared_by;
  json["certificate_days"] = certificate_days(*report);
  return json;
}

}  // namespace

Result<Json> health_view(const Controller& controller, const std::string& pool, uint64_t limit) {
  const PoolIndex index(controller.config());
  if (!pool.empty() && index.find(pool) == nullptr) {
    return fail(fmt::format("there is no pool {}", pool));
  }
  Json pools = Json::array();
  uint64_t left = limit;
  bool more = false;
  for (const PoolStatus& status :
       pool_status(controller.config(), controller.observed(), controller.registry())) {
    if (!pool.empty() && status.name != pool) continue;
    const PoolConfig& config = *index.find(status.name);
    Json backends = Json::array();
    for (const BackendStatus& backend : status.backends) {
      more = more || left == 0;
      if (left == 0) break;
      --left;
      backends.push_back(backend_json(controller, status.name, backend));
    }
    pools.push_back({{"pool", status.name},
                     {"check", describe(config.health)},
                     {"usable", status.usable},
                     {"total", status.total},
                     {"active_tier", status.active_tier},
                     {"panic", to_string(status.panic)},
                     {"panic_below_percent", config.panic_below_percent},
                     {"panic_active", status.panic_active != PanicPolicy::none},
                     {"backends", std::move(backends)}});
  }
  return Json{{"prober", prober_json(controller.node().prober())},
              {"pools", std::move(pools)},
              {"more", more}};
}

}  // namespace sluice::ctrl

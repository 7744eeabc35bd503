#include "ctrl/control/health_metrics.h"

#include <limits>

#include "ctrl/compile/pool_status.h"
#include "ctrl/control/metrics_builder.h"

namespace sluice::ctrl {
namespace {

using Families = std::vector<prometheus::MetricFamily>;

prometheus::MetricFamily lateness_family(const Lateness& lateness) {
  prometheus::MetricFamily family;
  family.name = "sluice_health_probe_lateness_seconds";
  family.help = "How long after their time probes left.";
  family.type = prometheus::MetricType::Histogram;
  prometheus::ClientMetric metric;
  uint64_t count = 0;
  for (size_t i = 0; i < lateness.total().size(); ++i) {
    count += lateness.total()[i];
    const bool last = i == Lateness::bounds_ms.size();
    metric.histogram.bucket.push_back({.cumulative_count = count,
                                       .upper_bound = last ? std::numeric_limits<double>::infinity()
                                                           : double(Lateness::bounds_ms[i]) / 1e3});
  }
  metric.histogram.sample_count = count;
  metric.histogram.sample_sum = lateness.total_seconds();
  family.metric.push_back(std::move(metric));
  return family;
}

void add_prober(const ProberStats& stats, Families& into) {
  into.push_back(counter_family("sluice_health_probes_total", "Probes that have ended.")
                     .add({{"result", "ok"}}, double(stats.succeeded))
                     .add({{"result", "failed"}}, double(stats.failed))
                     .add({{"result", "no_socket"}}, double(stats.no_socket))
                     .take());
  into.push_back(counter_family("sluice_health_probes_skipped_total",
                                "Probes left out because the one before was too late.")
                     .add({}, double(stats.skipped))
                     .take());
  into.push_back(gauge_family("sluice_health_probed", "Endpoints that are probed, each once.")
                     .add({}, double(stats.probed))
                     .take());
  into.push_back(gauge_family("sluice_health_probes_under_way", "Probes without a result yet.")
                     .add({}, double(stats.under_way))
                     .take());
  into.push_back(lateness_family(stats.lateness));
}

void add_backend(const HealthReport& report, const Labels& labels, uint64_t now_ns,
                 std::vector<FamilyBuilder*> families) {
  const HealthState& state = report.state;
  families[0]->add(labels, double(report.last.latency_us) / 1e6);
  families[1]->add(labels, state.suspected ? 1 : 0);
  families[2]->add(labels, double(state.hold_ms(now_ns)) / 1e3);
  families[3]->add(labels, double(state.weight_percent) / 100);
  if (report.last.certificate_expires_s != 0) {
    families[4]->add(labels, double(report.last.certificate_expires_s));
  }
}

}  // namespace

void add_health(const Controller& controller, Families& into) {
  add_prober(controller.node().prober(), into);
  FamilyBuilder panic =
      gauge_family("sluice_pool_panic",
                   "1 while a pool is served by its panic policy: too few backends are up.");
  FamilyBuilder usable = gauge_family("sluice_pool_usable", "Backends that may be served.");
  FamilyBuilder total = gauge_family("sluice_pool_backends", "Backends of the pool.");
  FamilyBuilder latency =
      gauge_family("sluice_backend_health_latency_seconds", "How long the last probe took.");
  FamilyBuilder suspected = gauge_family("sluice_backend_health_suspected",
                                         "1 while the data plane's trouble is not settled.");
  FamilyBuilder hold = gauge_family("sluice_backend_health_hold_seconds",
                                    "How long a flapping backend is still held down.");
  FamilyBuilder weight = gauge_family("sluice_backend_health_weight_ratio",
                                      "Part of its weight that a backend gets: slow start.");
  FamilyBuilder certificate =
      gauge_family("sluice_backend_health_certificate_expiry_seconds",
                   "Unix time at which the certificate that a probe saw expires.");
  for (const PoolStatus& pool :
       pool_status(controller.config(), controller.observed(), controller.registry())) {
    if (pool.panic != PanicPolicy::none) {
      panic.add({{"pool", pool.name}, {"policy", std::string(to_string(pool.panic))}},
                pool.panic_active != PanicPolicy::none ? 1 : 0);
    }
    usable.add({{"pool", pool.name}}, double(pool.usable));
    total.add({{"pool", pool.name}}, double(pool.total));
    for (const BackendStatus& backend : pool.backends) {
      const auto report = controller.node().health_report({pool.name, backend.endpoint});
      if (!report) continue;
      add_backend(*report, {{"pool", pool.name}, {"backend", to_string(backend.endpoint)}},
                  controller.now_ns(), {&latency, &suspected, &hold, &weight, &certificate});
    }
  }
  for (FamilyBuilder* family :
       {&panic, &usable, &total, &latency, &suspected, &hold, &weight, &certificate}) {
    into.push_back(family->take());
  }
}

}  // namespace sluice::ctrl

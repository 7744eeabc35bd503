#include "ctrl/control/metrics.h"

#include <fmt/format.h>
#include <prometheus/text_serializer.h>

#include "ctrl/compile/pool_status.h"
#include "ctrl/control/config_lookup.h"
#include "ctrl/control/govern_metrics.h"
#include "ctrl/control/health_metrics.h"
#include "ctrl/control/metrics_builder.h"
#include "ctrl/control/route_metrics.h"

namespace sluice::ctrl {
namespace {

using Families = std::vector<prometheus::MetricFamily>;

void add_node(const MetricsSources& from, Families& into) {
  const Controller& controller = from.controller;
  into.push_back(gauge_family("sluice_build_info", "Always 1; the version is a label.")
                     .add({{"version", from.identity.version}}, 1)
                     .take());
  into.push_back(gauge_family("sluice_generation", "The generation that was committed last.")
                     .add({}, double(controller.generation()))
                     .take());
  into.push_back(gauge_family("sluice_revision", "The snapshot that was published last.")
                     .add({}, double(controller.revision()))
                     .take());
  FamilyBuilder proofs =
      counter_family("sluice_proofs_total", "Proofs of changes that were settled, by verdict.");
  for (const auto verdict :
       {ProofVerdict::not_proved, ProofVerdict::draining, ProofVerdict::proved}) {
    proofs.add({{"verdict", std::string(to_string(verdict))}},
               double(controller.proofs().verdicts()[static_cast<size_t>(verdict)]));
  }
  into.push_back(proofs.take());
  const Json pending = controller.pending_json();
  into.push_back(gauge_family("sluice_confirm_remaining_seconds",
                              "Time left to confirm the change that awaits it; -1: none does.")
                     .add({}, pending.is_null() ? -1 : pending["remaining_ms"].get<double>() / 1000)
                     .take());
  const ConfirmCounts& confirms = controller.confirms();
  into.push_back(counter_family("sluice_confirms_total",
                                "Changes that awaited confirmation, by how the wait ended.")
                     .add({{"outcome", "confirmed"}}, double(confirms.confirmed))
                     .add({{"outcome", "rolled-back"}}, double(confirms.rolled_back))
                     .add({{"outcome", "expired"}}, double(confirms.expired))
                     .take());
  if (from.control_clients) {
    into.push_back(gauge_family("sluice_control_clients", "Connections to the control socket.")
                       .add({}, double(from.control_clients()))
                       .take());
  }
  if (from.slow_path) {
    const SlowPathCounters counters = from.slow_path();
    into.push_back(counter_family("sluice_slow_path_frames_total",
                                  "Frames between the workers and the kernel.")
                       .add({{"direction", "to_kernel"}}, double(counters.punted))
                       .add({{"direction", "from_kernel"}}, double(counters.injected))
                       .take());
    into.push_back(counter_family("sluice_slow_path_dropped_total", "Frames lost on the slow path.")
                       .add({{"direction", "to_kernel"}}, double(counters.punted_no_port))
                       .add({{"direction", "from_kernel"}}, double(counters.inject_dropped))
                       .take());
  }
}

void add_workers(const Controller& controller, Families& into) {
  const dataplane::Engine& engine = controller.engine();
  FamilyBuilder generation =
      gauge_family("sluice_worker_generation", "The generation that a worker has acknowledged.");
  FamilyBuilder revision =
      gauge_family("sluice_worker_revision", "The snapshot that a worker has acknowledged.");
  FamilyBuilder busy = gauge_family("sluice_worker_busy_ratio",
                                    "Share of the last second that a worker had packets.");
  FamilyBuilder sleeps =
      counter_family("sluice_worker_sleeps_total", "Times that an adaptive worker slept.");
  FamilyBuilder received =
      counter_family("sluice_worker_packets_total", "Packets that a worker took from devices.");
  FamilyBuilder flows = gauge_family("sluice_flows", "Entries of the flow table.");
  FamilyBuilder evicted =
      counter_family("sluice_flows_evicted_total", "Flows ended early because the table was full.");
  FamilyBuilder handoffs = counter_family(
      "sluice_handoff_packets_total", "Packets given to and taken from the worker that owns them.");
  for (unsigned i = 0; i < engine.worker_count(); i++) {
    const dataplane::WorkerCounters& counters = engine.counters(i);
    const dataplane::Acknowledgement acknowledged = engine.acknowledgement(i);
    const std::string worker = std::to_string(i);
    generation.add({{"worker", worker}}, double(acknowledged.generation));
    revision.add({{"worker", worker}}, double(acknowledged.revision));
    busy.add({{"worker", worker}}, controller.busy().ratio(i));
    sleeps.add({{"worker", worker}}, double(counters.sleeps.get()));
    received.add({{"worker", worker}}, double(counters.rx_packets.get()));
    flows.add({{"worker", worker}, {"family", "ipv4"}}, double(counters.flows_v4.get()));
    flows.add({{"worker", worker}, {"family", "ipv6"}}, double(counters.flows_v6.get()));
    evicted.add({{"worker", worker}}, double(counters.flows_evicted.get()));
    handoffs.add({{"worker", worker}, {"direction", "out"}}, double(counters.handoff_out.get()));
    handoffs.add({{"worker", worker}, {"direction", "in"}}, double(counters.handoff_in.get()));
  }
  for (FamilyBuilder* family :
       {&generation, &revision, &busy, &sleeps, &received, &flows, &evicted, &handoffs}) {
    into.push_back(family->take());
  }
}

void add_verdicts(const dataplane::Engine& engine, Families& into) {
  static constexpr std::array<const char*, 4> dispositions = {"none", "forward", "punt", "drop"};
  FamilyBuilder packets =
      counter_family("sluice_packets_total", "Packets by what became of them, and why.");
  for (size_t v = 1; v < verdict_count; v++) {
    uint64_t count = 0;
    for (unsigned worker = 0; worker < engine.worker_count(); worker++) {
      count += engine.counters(worker).verdicts[v].get();
    }
    packets.add({{"disposition", dispositions[static_cast<size_t>(verdict_dispositions[v])]},
                 {"verdict", std::string(verdict_names[v])}},
                double(count));
  }
  into.push_back(packets.take());
}

void add_refs(const Controller& controller, Families& into) {
  FamilyBuilder total =
      counter_family("sluice_connections_total", "Connections given to a backend of the pool.");
  FamilyBuilder active =
      gauge_family("sluice_connections_active", "Connections of the pool that have not ended.");
  FamilyBuilder refused = counter_family("sluice_connections_refused_total",
                                         "Connections that the pool's share could not take.");
  FamilyBuilder resets = counter_family("sluice_connections_reset_total",
                                        "Connections ended by an operator or a gone backend.");
  FamilyBuilder packets = counter_family("sluice_pool_packets_total", "Packets of connections.");
  FamilyBuilder bytes = counter_family("sluice_pool_bytes_total", "Bytes of connections.");
  const PoolIndex pools(controller.config());
  for (const auto& [key, ref] : controller.registry().refs()) {
    const PoolConfig* pool = pools.find(key.pool);
    const RefTotals totals = controller.sampler().ref(ref);
    const Labels labels = {{"route", key.route},
                           {"rule", std::to_string(key.rule)},
                           {"pool", key.pool},
                           {"service", pool == nullptr ? "" : pool->service},
                           {"version", pool == nullptr ? "" : pool->version}};
    const auto directed = [&](const char* direction) {
      Labels with = labels;
      with.push_back({"direction", direction});
      return with;
    };
    total.add(labels, double(totals.decisions));
    active.add(labels, double(totals.active()));
    refused.add(labels, double(totals.refused));
    resets.add(labels, double(totals.resets));
    packets.add(directed("in"), double(totals.packets_in));
    packets.add(directed("out"), double(totals.packets_out));
    bytes.add(directed("in"), double(totals.bytes_in));
    bytes.add(directed("out"), double(totals.bytes_out));
  }
  for (FamilyBuilder* family : {&total, &active, &refused, &resets, &packets, &bytes}) {
    into.push_back(family->take());
  }
}

void add_backends(const Controller& controller, Families& into) {
  FamilyBuilder state = gauge_family("sluice_backend_state", "1 for the state a backend is in.");
  FamilyBuilder total =
      counter_family("sluice_backend_connections_total", "Connections given to the backend.");
  FamilyBuilder active =
      gauge_family("sluice_backend_connections_active", "Connections that have not ended.");
  for (const PoolStatus& pool :
       pool_status(controller.config(), controller.observed(), controller.registry())) {
    for (const BackendStatus& backend : pool.backends) {
      const Labels labels = {{"pool", pool.name}, {"backend", to_string(backend.endpoint)}};
      for (const auto each : {BackendState::up, BackendState::down, BackendState::drained,
                              BackendState::unresolved, BackendState::unchecked}) {
        Labels with = labels;
        with.push_back({"state", std::string(to_string(each))});
        state.add(std::move(with), backend.state == each ? 1 : 0);
      }
      if (backend.id == model::no_backend) continue;
      const BackendSample totals = controller.sampler().backend(backend.id);
      total.add(labels, double(totals.connections));
      active.add(labels, double(totals.active()));
    }
  }
  for (FamilyBuilder* family : {&state, &total, &active}) into.push_back(family->take());
}

void add_ports(const MetricsSources& from, Families& into) {
  FamilyBuilder packets = counter_family("sluice_port_packets_total", "Packets of the workers.");
  FamilyBuilder bytes = counter_family("sluice_port_bytes_total", "Bytes of the workers.");
  FamilyBuilder missed =
      counter_family("sluice_port_rx_missed_total", "Frames the device had no room for.");
  FamilyBuilder errors = counter_family("sluice_port_errors_total", "Errors the device counted.");
  FamilyBuilder link = gauge_family("sluice_port_link_up", "1 while the link is up.");
  const dataplane::Engine& engine = from.controller.engine();
  for (const nic::PortInfo& port : from.identity.ports) {
    uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
    for (unsigned worker = 0; worker < engine.worker_count(); worker++) {
      const dataplane::PortCounters& counters = engine.counters(worker).ports[port.id];
      rx_packets += counters.rx_packets.get();
      rx_bytes += counters.rx_bytes.get();
      tx_packets += counters.tx_packets.get();
      tx_bytes += counters.tx_bytes.get();
    }
    packets.add({{"port", port.name}, {"direction", "rx"}}, double(rx_packets));
    packets.add({{"port", port.name}, {"direction", "tx"}}, double(tx_packets));
    bytes.add({{"port", port.name}, {"direction", "rx"}}, double(rx_bytes));
    bytes.add({{"port", port.name}, {"direction", "tx"}}, double(tx_bytes));
    if (!from.identity.device_stats) continue;
    const nic::DeviceStats device = from.identity.device_stats(port.id);
    missed.add({{"port", port.name}}, double(device.rx_missed));
    errors.add({{"port", port.name}, {"direction", "rx"}}, double(device.rx_errors));
    errors.add({{"port", port.name}, {"direction", "tx"}}, double(device.tx_errors));
    link.add({{"port", port.name}}, device.link_up ? 1 : 0);
  }
  for (FamilyBuilder* family : {&packets, &bytes, &missed, &errors, &link}) {
    into.push_back(family->take());
  }
}

}  // namespace

std::vector<prometheus::MetricFamily> Metrics::Collect() const {
  Families families;
  add_node(sources_, families);
  add_workers(sources_.controller, families);
  add_verdicts(sources_.controller.engine(), families);
  add_refs(sources_.controller, families);
  add_backends(sources_.controller, families);
  add_health(sources_.controller, families);
  add_ports(sources_, families);
  add_govern_metrics(sources_.controller, families);
  add_route_metrics(sources_.controller, families);
  std::erase_if(families, [](const auto& family) { return family.metric.empty(); });
  return families;
}

std::string Metrics::text() const { return prometheus::TextSerializer().Serialize(Collect()); }

std::pair<bool, std::string> readiness(const Controller& controller, const Identity& identity) {
  if (identity.ports.empty()) return {false, "there is no port"};
  const dataplane::Engine& engine = controller.engine();
  for (unsigned worker = 0; worker < engine.worker_count(); worker++) {
    const uint64_t serves = engine.acknowledgement(worker).revision;
    if (serves >= controller.revision()) continue;
    return {false, fmt::format("worker {} serves revision {}, {} was published", worker, serves,
                               controller.revision())};
  }
  return {true, fmt::format("generation {} is served by {} workers", controller.generation(),
                            engine.worker_count())};
}

}  // namespace sluice::ctrl

#include "ctrl/control/daemon.h"

#include <fmt/format.h>
#include <time.h>

#include "ctrl/control/health_view.h"
#include "ctrl/control/methods.h"
#include "ctrl/control/service_notify.h"
#include "ctrl/control/snat_ports.h"
#include "ctrl/runtime/log.h"
#include "dataplane/base/clock.h"

namespace sluice::ctrl {
namespace {

uint64_t clock_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void reopen_log_file() {
  if (auto reopened = reopen_log(); !reopened) {
    log_error("sluiced", "the log file could not be reopened",
              {{"error", reopened.error().message}});
  }
}

void log_driver_line(nic::LogLevel level, std::string_view line) {
  switch (level) {
    case nic::LogLevel::error:
      return log_error("dpdk", line);
    case nic::LogLevel::warning:
      return log_warn("dpdk", line);
    case nic::LogLevel::info:
      return log_info("dpdk", line);
    case nic::LogLevel::debug:
      return log_debug("dpdk", line);
  }
}

/// A NIC port as the packet path is to see it.
model::Port model_port(const nic::PortInfo& info, const PortConfig& config) {
  model::Port port{.present = true, .mac = info.mac, .mtu = info.mtu, .snat_v4 = {}, .snat_v6 = {}};
  std::vector<IpAddress> addresses = config.snat_addresses;
  if (addresses.empty()) {
    for (const Prefix& own : config.addresses) addresses.push_back(own.address);
  }
  for (const IpAddress& address : addresses) {
    if (address.family == Family::v4) {
      port.snat_v4.push_back(address.v4_raw());
    } else {
      port.snat_v6.push_back(address.bytes);
    }
  }
  return port;
}

}  // namespace

Daemon::~Daemon() {
  signals_.reset();
  set_log_observer({});
  links_.reset();
  admin_.reset();
  control_.reset();
  metrics_.reset();
  status_.reset();
  flows_.reset();
  controller_.reset();
  node_.reset();
  slow_path_.reset();
  if (loop_) loop_->set_poller({});
  if (engine_) engine_->stop();
  engine_.reset();
  if (ports_) ports_->close();
  ports_.reset();
  audit_.reset();
  store_.reset();
  loop_.reset();
  if (eal_started_) nic::stop_eal();
}

Status Daemon::start() {
  for (const auto stage :
       {&Daemon::open_state, &Daemon::open_devices, &Daemon::open_engine, &Daemon::open_slow_path,
        &Daemon::open_controller, &Daemon::open_sockets}) {
    if (auto done = (this->*stage)(); !done) return done;
  }
  watch_log();
  links_ = std::make_unique<LinkWatch>(*loop_, events_, identity_);
  signals_ = std::make_unique<StopSignals>();
  if (auto attached = signals_->attach(*loop_, reopen_log_file); !attached) return attached;
  log_info("sluiced", "ready",
           {{"version", options_.version},
            {"generation", controller_->generation()},
            {"workers", engine_->worker_count()},
            {"ports", identity_.ports.size()},
            {"socket", options_.config.control.socket}});
  notify_service_manager("READY=1");
  return {};
}

void Daemon::run() {
  loop_->run();
  log_info("sluiced", "stopping", {{"generation", controller_->generation()}});
  notify_service_manager("STOPPING=1");
}

Status Daemon::open_state() {
  auto loop = EventLoop::create();
  if (!loop) return std::unexpected(loop.error());
  loop_ = std::move(*loop);
  auto store = StateStore::open(options_.config.control.state_dir);
  if (!store) return std::unexpected(store.error());
  store_ = std::make_unique<StateStore>(std::move(*store));
  auto audit = AuditTrail::open(store_->directory() / "audit");
  if (!audit) return std::unexpected(audit.error());
  audit_ = std::make_unique<AuditTrail>(std::move(*audit));
  if (options_.config.node.hash_key) {
    decision_key_ = *options_.config.node.hash_key;
    return {};
  }
  auto key = store_->hash_key();
  if (!key) return std::unexpected(key.error());
  decision_key_ = *key;
  return {};
}

Status Daemon::open_devices() {
  const NodeConfig& node = options_.config.node;
  nic::EalOptions eal;
  eal.main_core = node.main_core;
  eal.worker_cores = node.worker_cores;
  eal.memory_mb = node.memory_mb;
  eal.log = log_driver_line;
  std::vector<nic::PortOptions> ports;
  for (const PortConfig& port : options_.config.ports) {
    eal.devices.push_back(port.device);
    ports.push_back({.name = port.name, .device = port.device, .queues = port.queues});
  }
  auto lcores = nic::start_eal(eal);
  if (!lcores) return std::unexpected(lcores.error());
  eal_started_ = true;
  worker_lcores_ = std::move(*lcores);
  auto opened = nic::PortSet::open(ports, static_cast<unsigned>(worker_lcores_.size()));
  if (!opened) return std::unexpected(opened.error());
  ports_ = std::move(*opened);
  return {};
}

Status Daemon::open_engine() {
  const NodeConfig& node = options_.config.node;
  auto kernel = kernel_port_range();
  if (!kernel) return std::unexpected(kernel.error());
  auto snat = snat_ports(options_.config, *kernel);
  if (!snat) return std::unexpected(snat.error());
  calibrate_clock();
  dataplane::EngineOptions engine;
  engine.worker_lcores = worker_lcores_;
  engine.idle = node.idle == IdleMode::adaptive ? dataplane::Idle::adaptive : dataplane::Idle::busy;
  engine.flows_max = node.max_flows;
  engine.snat_ports = std::move(*snat);
  auto created = dataplane::Engine::create(engine, *ports_);
  if (!created) return std::unexpected(created.error());
  engine_ = std::move(*created);
  // Answers of workers wake the loop with the punted frames.
  loop_->set_poller([this] {
    engine_->poll_replies();
    return false;
  });
  return {};
}

Status Daemon::open_slow_path() {
  std::vector<TapOptions> taps;
  for (const nic::PortInfo& info : ports_->ports()) {
    const PortConfig& port = options_.config.ports[info.id];
    taps.push_back({.name = port.tap, .mac = info.mac, .mtu = info.mtu});
    identity_.taps.push_back(port.tap);
  }
  auto slow_path = SlowPath::create(*loop_, *engine_, taps);
  if (!slow_path) return std::unexpected(slow_path.error());
  slow_path_ = std::move(*slow_path);
  auto node = DaemonNode::create(*loop_, *slow_path_);
  if (!node) return std::unexpected(node.error());
  node_ = std::move(*node);
  return {};
}

Status Daemon::open_controller() {
  StartContent start{.config = options_.config,
                     .text = options_.text,
                     .file = options_.file,
                     .ports = {},
                     .decision_key = decision_key_};
  for (const nic::PortInfo& info : ports_->ports()) {
    start.ports.push_back(model_port(info, options_.config.ports[info.id]));
  }
  identity_.version = options_.version;
  identity_.started_ns = clock_ns();
  identity_.ports = ports_->ports();
  identity_.device_stats = [this](uint8_t port) { return ports_->statistics(port); };
  auto controller = Controller::create({.loop = *loop_,
                                        .engine = *engine_,
                                        .store = *store_,
                                        .audit = *audit_,
                                        .node = *node_,
                                        .events = events_,
                                        .now_ns = clock_ns},
                                       std::move(start));
  if (!controller) return std::unexpected(controller.error());
  controller_ = std::move(*controller);
  node_->set_changed([this] { controller_->node_changed(); });
  return controller_->start();
}

Status Daemon::open_sockets() {
  flows_ = std::make_unique<FlowLister>(*loop_, *controller_);
  status_ = std::make_unique<StatusSource>(*loop_, *controller_, identity_);
  auto control = RpcServer::listen(*loop_, events_, options_.config.control.socket,
                                   make_methods({*controller_, *flows_, *status_}));
  if (!control) return std::unexpected(control.error());
  control_ = std::move(*control);
  metrics_ = std::make_unique<Metrics>(
      MetricsSources{.controller = *controller_,
                     .identity = identity_,
                     .slow_path = [this] { return slow_path_->counters(); },
                     .control_clients = [this] { return control_->clients(); }});
  if (!options_.config.admin.listen) return {};
  auto admin = AdminServer::create(*loop_, *options_.config.admin.listen);
  if (!admin) return std::unexpected(admin.error());
  admin_ = std::move(*admin);
  admin_->set_metrics([this] { return metrics_->text(); });
  admin_->set_health([this] {
    const auto view = health_view(*controller_, "", health_limit_max);
    return view ? view->dump() : std::string("{}");
  });
  admin_->set_ready([this] { return readiness(*controller_, identity_); });
  return {};
}

/// Warnings and errors are events too, so that `watch` shows why something failed.
void Daemon::watch_log() {
  set_log_observer([this](LogLevel level, std::string_view line) {
    if (level < LogLevel::warn) return;
    loop_->post([this, line = std::string(line)] {
      if (events_.watchers() == 0) return;
      Json parsed = Json::parse(line, nullptr, false);
      events_.emit("log", {{"line", parsed.is_discarded() ? Json(line) : std::move(parsed)}});
    });
  });
}

}  // namespace sluice::ctrl

// Daemon: sluiced put together. Starts the parts in the order in which they need each other, runs
// the loop, and takes them apart in the opposite order. One per process; main thread only.
#pragma once

#include <memory>
#include <string>

#include "ctrl/config/config.h"
#include "ctrl/control/controller.h"
#include "ctrl/control/daemon_node.h"
#include "ctrl/control/flow_lister.h"
#include "ctrl/control/link_watch.h"
#include "ctrl/control/metrics.h"
#include "ctrl/control/rpc_server.h"
#include "ctrl/control/status_source.h"
#include "ctrl/control/status_view.h"
#include "ctrl/control/stop_signals.h"
#include "ctrl/runtime/admin_server.h"
#include "ctrl/runtime/slow_path.h"
#include "nic/port_set.h"

namespace sluice::ctrl {

struct DaemonOptions {
  Config config;  // of the file
  std::string text;
  std::string file;
  std::string version;
};

class Daemon {
 public:
  explicit Daemon(DaemonOptions options) : options_(std::move(options)) {}
  /// Stops the workers, closes the devices, removes the control socket.
  ~Daemon();

  /// After this the node serves and listens. The error is one line that says what to do.
  Status start();
  /// Returns after SIGTERM or SIGINT. SIGHUP reopens the log file.
  void run();

 private:
  Status open_state();
  Status open_devices();
  Status open_engine();
  Status open_slow_path();
  Status open_controller();
  Status open_sockets();
  void watch_log();

  DaemonOptions options_;
  HashKey decision_key_;
  Identity identity_;
  EventHub events_;
  bool eal_started_ = false;

  // In the order of their making; each may use those above it.
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<AuditTrail> audit_;
  std::unique_ptr<nic::PortSet> ports_;
  std::unique_ptr<dataplane::Engine> engine_;
  std::unique_ptr<SlowPath> slow_path_;
  std::unique_ptr<DaemonNode> node_;
  std::unique_ptr<Controller> controller_;
  std::unique_ptr<FlowLister> flows_;
  std::unique_ptr<StatusSource> status_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<RpcServer> control_;
  std::unique_ptr<AdminServer> admin_;
  std::unique_ptr<LinkWatch> links_;
  std::unique_ptr<StopSignals> signals_;
  std::vector<unsigned> worker_lcores_;
};

}  // namespace sluice::ctrl

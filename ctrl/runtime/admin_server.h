// AdminServer: /metrics, /health (of the backends), /healthz and /readyz over HTTP (civetweb, two
// threads of its own). The texts are made on the loop thread; a request waits for them at most
// admin_wait_max_ms and then gets 503. Create, set and destroy on the loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "ctrl/runtime/event_loop.h"
#include "dataplane/base/address.h"
#include "dataplane/base/result.h"

namespace sluice::ctrl {

inline constexpr unsigned admin_wait_max_ms = 2000;

class AdminServer {
 public:
  /// Fails when `listen` cannot be bound; civetweb as packaged knows IPv4 only. Port 0 takes any
  /// free port.
  static Result<std::unique_ptr<AdminServer>> create(EventLoop& loop, const Endpoint& listen);
  /// Waits for requests under way, which get 503.
  virtual ~AdminServer() = default;

  /// Prometheus text exposition format; until set, /metrics is 503.
  virtual void set_metrics(std::function<std::string()> metrics) = 0;
  /// Ready or not, and one line that says why; until set, /readyz is 503.
  virtual void set_ready(std::function<std::pair<bool, std::string>()> ready) = 0;
  /// The backends' health as JSON; until set, /health is 503.
  virtual void set_health(std::function<std::string()> health) = 0;
  /// The port that it listens on, host order.
  virtual uint16_t port() const = 0;
};

}  // namespace sluice::ctrl

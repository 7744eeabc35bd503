// DaemonNode: the Node of a running sluiced: TAP addresses, health probes and next hops of the
// network namespace it runs in. ctrl thread only.
#pragma once

#include <functional>
#include <memory>

#include "ctrl/control/node.h"
#include "ctrl/health/monitor.h"
#include "ctrl/runtime/next_hops.h"
#include "ctrl/runtime/slow_path.h"

namespace sluice::ctrl {

class DaemonNode : public Node {
 public:
  /// `slow_path` and the loop outlive the node.
  static Result<std::unique_ptr<DaemonNode>> create(EventLoop& loop, SlowPath& slow_path);

  /// Called when health or next hops are not what they were.
  void set_changed(std::function<void()> changed) { changed_ = std::move(changed); }

  void serve(const Config& config, const std::set<IpAddress>& lingering) override;
  const std::map<IpAddress, model::NextHop>& next_hops() const override;
  std::string describe_next_hop(const IpAddress& address) const override;
  const std::set<BackendKey>& down() const override { return health_->down(); }
  const std::map<BackendKey, uint8_t>& slow_starts() const override {
    return health_->slow_starts();
  }
  const HealthState* health(const BackendKey& backend) const override {
    return health_->find(backend);
  }
  std::optional<HealthReport> health_report(const BackendKey& backend) const override {
    return health_->report(backend);
  }
  ProberStats prober() const override { return health_->stats(); }
  void suspect(const BackendKey& backend, const std::string& reason) override {
    health_->suspect(backend, reason);
  }

 private:
  explicit DaemonNode(SlowPath& slow_path) : slow_path_(slow_path) {}
  void notice() const {
    if (changed_) changed_();
  }

  SlowPath& slow_path_;
  std::unique_ptr<HealthMonitor> health_;
  std::unique_ptr<NextHopTracker> next_hops_;
  std::function<void()> changed_;
};

}  // namespace sluice::ctrl

#include "ctrl/control/daemon_node.h"

#include <sys/random.h>

#include "ctrl/runtime/log.h"

namespace sluice::ctrl {

Result<std::unique_ptr<DaemonNode>> DaemonNode::create(EventLoop& loop, SlowPath& slow_path) {
  std::unique_ptr<DaemonNode> node(new DaemonNode(slow_path));
  uint64_t seed = 0;
  if (::getrandom(&seed, sizeof(seed), 0) != ssize_t(sizeof(seed))) {
    return fail("cannot draw a random seed for the health probes");
  }
  DaemonNode* self = node.get();
  node->health_ = HealthMonitor::create(
      loop, seed, [self](const BackendKey&, const HealthState&) { self->notice(); });
  auto tracker =
      NextHopTracker::create(loop, slow_path.ports_by_ifindex(), [self] { self->notice(); });
  if (!tracker) return std::unexpected(tracker.error());
  node->next_hops_ = std::move(*tracker);
  return node;
}

void DaemonNode::serve(const Config& config, const std::set<IpAddress>& lingering) {
  const auto addresses = tap_addresses(config.ports, config.listeners);
  for (size_t port = 0; port < addresses.size(); port++) {
    const auto set = slow_path_.tap(static_cast<uint8_t>(port)).set_addresses(addresses[port]);
    if (set) continue;
    log_error("control", "an address could not be given to the kernel",
              {{"port", config.ports[port].name}, {"error", set.error().message}});
  }
  health_->set_targets(config.pools);
  std::set<IpAddress> backends = lingering;
  for (const PoolConfig& pool : config.pools) {
    for (const BackendConfig& backend : pool.backends) backends.insert(backend.address);
  }
  next_hops_->set_addresses(backends);
}

const std::map<IpAddress, model::NextHop>& DaemonNode::next_hops() const {
  return next_hops_->next_hops();
}

std::string DaemonNode::describe_next_hop(const IpAddress& address) const {
  return next_hops_->describe(address);
}

}  // namespace sluice::ctrl

// Node: what the controller asks of the machine around it: the kernel's addresses and neighbours,
// and the health probes. ctrl thread only.
#pragma once

#include <map>
#include <set>
#include <string>

#include "ctrl/compile/registry.h"
#include "ctrl/config/config.h"
#include "ctrl/health/monitor.h"
#include "dataplane/model/snapshot.h"

namespace sluice::ctrl {

class Node {
 public:
  virtual ~Node() = default;

  /// `config` is what is served now: virtual addresses, probes and next hops follow it. Flows
  /// still go to the `lingering` addresses although the configuration no longer names them.
  virtual void serve(const Config& config, const std::set<IpAddress>& lingering) = 0;

  virtual const std::map<IpAddress, model::NextHop>& next_hops() const = 0;
  /// How an address is reached, or why it is not.
  virtual std::string describe_next_hop(const IpAddress& address) const = 0;
  virtual const std::set<BackendKey>& down() const = 0;
  /// Percent of the weight that backends in slow start get now.
  virtual const std::map<BackendKey, uint8_t>& slow_starts() const = 0;
  /// Null for a backend that is not probed.
  virtual const HealthState* health(const BackendKey& backend) const = 0;
  /// None for a backend that is not probed.
  virtual std::optional<HealthReport> health_report(const BackendKey& backend) const = 0;
  virtual ProberStats prober() const = 0;
  /// The data plane had trouble with a backend: HealthMonitor::suspect().
  virtual void suspect(const BackendKey& backend, const std::string& reason) = 0;
};

}  // namespace sluice::ctrl

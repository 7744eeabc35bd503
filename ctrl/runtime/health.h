// HealthMonitor: probes backends by connecting to them, and says which are down. A backend counts
// as up until `fall` probes in a row have failed, and as down until `rise` in a row have
// succeeded; the first probe leaves at once. At most one probe per (pool, endpoint) and
// health_probes_max in all are under way; what is due beyond waits in line. Connections end with
// RST, so that no TIME_WAIT piles up. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ctrl/compile/registry.h"
#include "ctrl/config/config.h"
#include "ctrl/runtime/event_loop.h"

namespace sluice::ctrl {

inline constexpr size_t health_probes_max = 512;

struct HealthState {
  bool up = true;
  bool checked = false;    // at least one probe has ended
  uint64_t since_ms = 0;   // Unix time of the last change of `up`, or when it was first seen
  std::string reason;      // of the last failure: "connect: Connection refused"; empty while well
  uint32_t successes = 0;  // in a row
  uint32_t failures = 0;   // in a row
};

class HealthMonitor {
 public:
  /// Called when `up` changes, never from inside set_targets().
  using Changed = std::function<void(const BackendKey& backend, const HealthState& state)>;

  /// `seed` spreads the probes: every interval varies by ±10 %.
  static std::unique_ptr<HealthMonitor> create(EventLoop& loop, uint64_t seed, Changed changed);
  virtual ~HealthMonitor() = default;

  /// Probes the backends of these pools that ask for it. Backends that stay keep their state and
  /// take up new parameters with their next probe.
  virtual void set_targets(const std::vector<PoolConfig>& pools) = 0;

  /// Null for a backend that is not probed.
  virtual const HealthState* find(const BackendKey& backend) const = 0;
  virtual std::set<BackendKey> down() const = 0;
  /// Probes ended since the start.
  virtual uint64_t probes() const = 0;
};

}  // namespace sluice::ctrl

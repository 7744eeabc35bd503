// HealthMonitor: probes backends and says which are down. A backend counts as up until it is
// judged down (judge.h). Backends of several pools with the same endpoint and the same check
// (wire_part()) are probed once, at the shortest of their intervals; each pool judges for itself.
//
// When: each backend has a deadline every 95 to 100 % of its interval, counted from deadline to
// deadline; first deadlines are spread evenly over at most an interval, so that nothing comes in
// herds. What cannot start in time (too many under way, a busy loop) waits in line; how late it was
// is counted, and a probe that is later than its successor's deadline replaces it. Loop thread
// only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ctrl/compile/registry.h"
#include "ctrl/config/config.h"
#include "ctrl/health/judge.h"
#include "ctrl/health/lateness.h"
#include "ctrl/runtime/event_loop.h"

namespace sluice::ctrl {

inline constexpr size_t health_probes_max =
    32'768;  // under way; never more than half of RLIMIT_NOFILE
inline constexpr size_t probes_per_turn_max = 256;  // started before the loop looks at other things

/// Everything about one backend of a pool, for people.
struct HealthReport {
  HealthState state;
  ProbeResult last;      // of the last probe that ended
  uint64_t last_ns = 0;  // when it ended, monotonic; 0: none has
  uint64_t next_ns = 0;  // when the next one is due; 0: one is under way or waits in line
  uint32_t interval_ms = 0;
  size_t shared_by = 1;  // pools that are served by the same probe
};

struct ProberStats {
  size_t probed = 0;    // distinct (endpoint, check)
  size_t backends = 0;  // that they stand for
  size_t under_way = 0;
  size_t waiting = 0;
  uint64_t succeeded = 0, failed = 0;
  uint64_t skipped = 0;    // deadlines that passed while the probe before was late
  uint64_t no_socket = 0;  // our own shortage: no verdict on the backend
  Lateness lateness;
};

class HealthMonitor {
 public:
  /// Called when the tables may have to follow: `up`, the weight of a slow start, or suspicion
  /// changed. Never from inside set_targets().
  using Changed = std::function<void(const BackendKey& backend, const HealthState& state)>;

  /// `seed` spreads the probes.
  static std::unique_ptr<HealthMonitor> create(EventLoop& loop, uint64_t seed, Changed changed);
  virtual ~HealthMonitor() = default;

  /// Probes the backends of these pools that ask for it. Backends that stay keep their state and
  /// take up new parameters with their next probe.
  virtual void set_targets(const std::vector<PoolConfig>& pools) = 0;

  /// The data plane had trouble with this backend, as `reason` says: it is probed at once, or
  /// (passive.eject) down at once. Ignored for a backend that is not probed or already down.
  virtual void suspect(const BackendKey& backend, const std::string& reason) = 0;

  /// Null for a backend that is not probed.
  virtual const HealthState* find(const BackendKey& backend) const = 0;
  virtual std::optional<HealthReport> report(const BackendKey& backend) const = 0;
  virtual const std::set<BackendKey>& down() const = 0;
  /// Percent of their weight that backends in slow start get now; the others get all of it.
  virtual const std::map<BackendKey, uint8_t>& slow_starts() const = 0;
  virtual ProberStats stats() const = 0;
  uint64_t probes() const { return stats().succeeded + stats().failed; }
};

}  // namespace sluice::ctrl

// SlowPath: carries frames between the workers and the kernel: punt ring → TAP of the frame's
// port, TAP → inject ring. Bounded work per round, so that a flood of punts does not starve the
// rest of ctrl. It also has the engine deliver its replies, which wake ctrl by the same
// descriptor. Loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "ctrl/config/config.h"
#include "ctrl/runtime/event_loop.h"
#include "ctrl/runtime/tap.h"
#include "dataplane/base/result.h"
#include "dataplane/engine.h"

namespace sluice::ctrl {

inline constexpr unsigned punts_per_round_max = 256;

struct SlowPathCounters {
  uint64_t punted = 0;          // frames taken from the workers
  uint64_t punted_no_port = 0;  // for a port without TAP
  uint64_t injected = 0;
  uint64_t inject_dropped = 0;  // the inject ring or its pool was full
};

class SlowPath {
 public:
  /// One TAP per port, by port id. The engine and the loop outlive the slow path. Frames flow
  /// from now on.
  static Result<std::unique_ptr<SlowPath>> create(EventLoop& loop, dataplane::Engine& engine,
                                                  const std::vector<TapOptions>& taps);
  virtual ~SlowPath() = default;

  virtual TapDevice& tap(uint8_t port) = 0;
  /// Kernel interface index → port id, for NextHopTracker.
  virtual std::map<int, uint8_t> ports_by_ifindex() const = 0;
  virtual const SlowPathCounters& counters() const = 0;
};

/// The addresses of each port's TAP, by index into `ports`: the port's own ones first, then the
/// listeners' as /32 or /128 on the first port whose network contains them, else on the first
/// port. Every address occurs once. Pure.
std::vector<std::vector<Prefix>> tap_addresses(const std::vector<PortConfig>& ports,
                                               const std::vector<ListenerConfig>& listeners);

}  // namespace sluice::ctrl

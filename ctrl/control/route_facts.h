// RouteFacts of what is served: gathered from the configuration, the published tables, the health
// of backends and the counters, for conditions_of(). ctrl thread only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ctrl/control/conditions.h"
#include "ctrl/control/proof.h"

namespace sluice::ctrl {

class Controller;

/// Slots per pool of tables that were counted before: a table is 64 KiB and seldom changes.
class SlotCounts {
 public:
  /// Slots per entry of rule.pools.
  std::vector<uint32_t> of(const model::Rule& rule);
  /// Forgets what was not asked for since the last call.
  void prune();

 private:
  struct Entry {
    std::shared_ptr<const model::SlotTable> table;
    std::vector<uint32_t> counts;
    bool used = true;
  };
  std::map<const model::SlotTable*, Entry> entries_;
};

/// One entry per configured route, in its order. `stale` and `refuted` are left as they are by
/// default: they change without anything being published.
std::vector<RouteFacts> gather_routes(const Controller& controller, SlotCounts& counts);
ServedFacts gather_served(const Controller& controller);

/// Sets PoolFacts::stale of closed pools from the newest decisions.
void update_stale(const Controller& controller, std::vector<RouteFacts>& routes);

/// Connections that were there before their pool lost its traffic or their backend was drained,
/// and have not ended.
struct Draining {
  std::string route;
  uint32_t rule = 0;
  std::string pool;
  std::optional<Endpoint> backend;  // none: the route's share of the whole pool
  uint64_t active = 0;
  Existing existing = Existing::keep;
  uint64_t ends_in_ms = 0;  // of drain: when what is left is reset
};

/// Of one route, or (empty) of all, in the order of their names.
std::vector<Draining> gather_draining(const Controller& controller, const std::string& route = {});

/// [{rule, pool, backend, active, existing, ends_in_ms, text}, ...]
Json draining_json(const std::vector<Draining>& draining);

}  // namespace sluice::ctrl

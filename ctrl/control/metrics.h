// Metrics: everything that /metrics says, computed from the workers' counters and the controller
// at each scrape; nothing is counted twice or kept here. ctrl thread only.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "ctrl/control/controller.h"
#include "ctrl/control/status_view.h"
#include "ctrl/runtime/slow_path.h"

namespace sluice::ctrl {

struct MetricsSources {
  const Controller& controller;
  const Identity& identity;
  std::function<SlowPathCounters()> slow_path;  // may be empty
  std::function<size_t()> control_clients;      // may be empty
};

class Metrics : public prometheus::Collectable {
 public:
  explicit Metrics(MetricsSources sources) : sources_(std::move(sources)) {}
  std::vector<prometheus::MetricFamily> Collect() const override;
  /// The text exposition format.
  std::string text() const;

 private:
  MetricsSources sources_;
};

/// Ready: every worker serves the newest snapshot, and there is at least one port. The line says
/// why not.
std::pair<bool, std::string> readiness(const Controller& controller, const Identity& identity);

}  // namespace sluice::ctrl

// Metrics about routes and their versions: conditions, connections that go on, and handshakes that
// backends did not take. ctrl thread only.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "ctrl/control/controller.h"

namespace sluice::ctrl {

void add_route_metrics(const Controller& controller,
                       std::vector<prometheus::MetricFamily>& families);

}  // namespace sluice::ctrl

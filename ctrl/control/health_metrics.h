// add_health(): the families of the health checks. ctrl thread.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "ctrl/control/controller.h"

namespace sluice::ctrl {

void add_health(const Controller& controller, std::vector<prometheus::MetricFamily>& into);

}  // namespace sluice::ctrl

// What /metrics says about the audit log and about refusals. ctrl thread only.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "ctrl/control/controller.h"

namespace sluice::ctrl {

void add_govern_metrics(const Controller& controller,
                        std::vector<prometheus::MetricFamily>& families);

}  // namespace sluice::ctrl

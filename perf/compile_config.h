// Configurations of a given size, for benchmarks of compiling them.
#pragma once

#include <cstdint>

#include "ctrl/compile/compile.h"

namespace sluice::perf {

struct ConfigSize {
  uint32_t listeners = 0;
  uint32_t pools = 0;
  uint32_t backends = 0;  // of each pool
};

/// Each listener has a route that splits 95 : 5 between two pools.
ctrl::Config make_config(const ConfigSize& size);

/// Every backend has a next hop.
ctrl::Observed observe(const ctrl::Config& config);

}  // namespace sluice::perf

// What `sluice status` says about pools: each backend's state, and the tier that is served. The
// same judgement that compile() folds into the tables. Pure; ctrl thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ctrl/compile/compile.h"
#include "ctrl/compile/registry.h"
#include "ctrl/config/config.h"

namespace sluice::ctrl {

/// The first that applies: drained by an operator, down by its health check, unresolved (no next
/// hop), unchecked (in use without a health check), up.
enum class BackendState : uint8_t { up, down, drained, unresolved, unchecked };

std::string_view to_string(BackendState state);

struct BackendStatus {
  Endpoint endpoint;
  uint32_t weight = 0;
  uint8_t tier = 0;
  std::string zone;
  BackendState state = BackendState::up;
  bool serving = false;             // in the table: new connections may go to it
  uint8_t weight_percent = 100;     // of its weight that it gets now: below 100 in slow start
  uint16_t id = model::no_backend;  // counter identity; no_backend before the first compile
};

struct PoolStatus {
  std::string name;
  std::string service;
  std::string version;
  HealthType health = HealthType::none;
  uint8_t active_tier = 0;  // of a pool with both address families: the higher one
  uint32_t usable = 0;      // backends up or unchecked, of weight > 0, in any tier
  uint32_t total = 0;
  PanicPolicy panic = PanicPolicy::none;         // as configured
  PanicPolicy panic_active = PanicPolicy::none;  // in force now, for one family at least
  std::vector<BackendStatus> backends;           // in the order of the configuration
};

/// Every configured pool, in the order of the configuration.
std::vector<PoolStatus> pool_status(const Config& config, const Observed& observed,
                                    const Registry& registry);

}  // namespace sluice::ctrl

// Confirm: a change that is rolled back by itself unless somebody confirms it in time
// (`--confirm-within 10m`). It is part of the generation that it is about, so that it is on the
// disk together with it. Pure values; any thread.
//
//   asked → awaiting → confirmed     `sluice confirm`
//                    → rolled-back   time is up, or `sluice rollback`
//
// Time: a running sluiced counts on CLOCK_MONOTONIC, so setting the wall clock moves nothing. A
// restarted one has only the wall clock: what is left is `within_ms` less the wall time since
// `asked_unix_ms`, at most within_ms (the clock was set back) and at least 0 (time is up: the
// rollback is what the restarted sluiced serves first).
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "ctrl/control/bounded_json.h"

namespace sluice::ctrl {

inline constexpr uint64_t confirm_within_ms_min = 1'000;
inline constexpr uint64_t confirm_within_ms_max = 7ull * 86'400'000;

struct Confirm {
  uint64_t generation = 0;  // the change that awaits it
  uint64_t back_to = 0;     // the generation whose content comes back
  uint64_t asked_unix_ms = 0;
  uint64_t within_ms = 0;
  // What the rollback does to connections of pools that lose their traffic: as the change did.
  std::string_view existing = "keep";  // keep, drain, reset
  uint64_t drain_ms = 0;
  std::set<std::string> routes = {};  // that it is about: who may confirm
};

/// What is left at wall time `unix_ms`, 0..within_ms.
uint64_t remaining_ms(const Confirm& confirm, uint64_t unix_ms);

Json to_json(const Confirm& confirm);
/// Throws nlohmann's exceptions on anything that to_json() did not write.
Confirm confirm_from_json(const Json& json);

/// CLOCK_REALTIME in milliseconds since 1970.
uint64_t unix_ms_now();
/// The same as "2026-01-31T08:15:30.123Z".
std::string wall_time(uint64_t unix_ms);

}  // namespace sluice::ctrl

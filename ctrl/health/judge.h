// Judge: what a backend's probes say about it, over time. Pure: time comes in, changes go out.
//
//   now      probe      becomes
//   up       failed     down, when `fall` in a row have failed
//   down     succeeded  up, when `rise` in a row have succeeded and no hold is left
//   up       ejected    down at once (passive signals with `eject`)
//
// Hold (dampening): each fall within `flap_window_ms` of the last return counts as a flap. Flap n
// is held down for at least flap_hold_ms * 2^(n-1), at most flap_hold_ms_max, from its fall on.
// Whatever a backend does, it returns at most once per hold. Up for the whole window: forgiven.
// Slow start: after a return the weight grows in slow_start_steps equal steps.
#pragma once

#include <cstdint>
#include <string>

#include "ctrl/config/health_config.h"

namespace sluice::ctrl {

inline constexpr unsigned slow_start_steps = 10;

/// What a probe found.
struct ProbeResult {
  bool ok = false;
  uint32_t latency_us = 0;
  int64_t certificate_expires_s = 0;  // Unix time; 0: no certificate was seen
  std::string text;                   // "200 in 3 headers"; of a failure: why
};

/// What is known about a backend of a pool. Times in ns are of the monotonic clock.
struct HealthState {
  bool up = true;
  bool checked = false;          // at least one probe has ended
  bool suspected = false;        // passive signals, not yet settled by a probe
  uint8_t weight_percent = 100;  // below 100 during slow start
  uint64_t since_ms = 0;         // Unix time of the last change of `up`, or when it was first seen
  std::string reason;      // of the last failure: "connect: Connection refused"; empty while well
  uint32_t successes = 0;  // in a row
  uint32_t failures = 0;   // in a row
  uint32_t flaps = 0;      // falls, each within the window of the return before it
  uint64_t hold_until_ns = 0;  // stays down until then; 0: no hold
  uint64_t changed_ns = 0;     // of the last change of `up`; 0: never

  /// What is left of the hold.
  uint64_t hold_ms(uint64_t now_ns) const {
    return !up && hold_until_ns > now_ns ? (hold_until_ns - now_ns) / 1'000'000 : 0;
  }
};

/// Takes a result in; true when `up` changed. `unix_ms` is only noted.
bool judge(HealthState& state, const HealthConfig& rules, const ProbeResult& result,
           uint64_t now_ns, uint64_t unix_ms);

/// Down at once, for `reason`; true when it was up.
bool eject(HealthState& state, const HealthConfig& rules, std::string reason, uint64_t now_ns,
           uint64_t unix_ms);

/// The weight at `now_ns`, and when it is to be asked again (0: not).
struct SlowStart {
  uint8_t percent = 100;
  uint64_t next_ns = 0;
};
SlowStart slow_start(const HealthState& state, const HealthConfig& rules, uint64_t now_ns);

}  // namespace sluice::ctrl

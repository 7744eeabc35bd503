#include "ctrl/health/judge.h"

#include <algorithm>
#include <utility>

namespace sluice::ctrl {
namespace {

constexpr uint64_t ms_ns = 1'000'000;

void fall(HealthState& state, const HealthConfig& rules, uint64_t now_ns, uint64_t unix_ms) {
  // changed_ns is the return; a backend that never fell before is not flapping.
  const bool again =
      state.changed_ns != 0 && now_ns - state.changed_ns < rules.flap_window_ms * ms_ns;
  state.flaps = again ? state.flaps + 1 : 0;
  state.hold_until_ns = 0;
  if (rules.flap_hold_ms > 0 && state.flaps > 0) {
    const uint32_t doublings = std::min(state.flaps - 1, 32u);
    const uint64_t hold_ms =
        std::min<uint64_t>(uint64_t{rules.flap_hold_ms} << doublings, rules.flap_hold_ms_max);
    state.hold_until_ns = now_ns + hold_ms * ms_ns;
  }
  state.up = false;
  state.weight_percent = 100;
  state.since_ms = unix_ms;
  state.changed_ns = now_ns;
}

}  // namespace

bool judge(HealthState& state, const HealthConfig& rules, const ProbeResult& result,
           uint64_t now_ns, uint64_t unix_ms) {
  state.checked = true;
  if (!result.ok) {
    state.successes = 0;
    ++state.failures;
    state.reason = result.text;
    if (!state.up || state.failures < rules.fall) return false;
    fall(state, rules, now_ns, unix_ms);
    return true;
  }
  state.failures = 0;
  state.suspected = false;
  ++state.successes;
  if (state.up) {
    state.reason.clear();
    return false;
  }
  if (state.successes < rules.rise || now_ns < state.hold_until_ns) return false;
  state.up = true;
  state.since_ms = unix_ms;
  state.changed_ns = now_ns;
  state.reason.clear();
  state.weight_percent = slow_start(state, rules, now_ns).percent;
  return true;
}

bool eject(HealthState& state, const HealthConfig& rules, std::string reason, uint64_t now_ns,
           uint64_t unix_ms) {
  state.successes = 0;
  state.reason = std::move(reason);
  if (!state.up) return false;
  fall(state, rules, now_ns, unix_ms);
  return true;
}

SlowStart slow_start(const HealthState& state, const HealthConfig& rules, uint64_t now_ns) {
  if (!state.up || state.changed_ns == 0 || rules.slow_start_ms == 0) return {};
  const uint64_t whole_ns = rules.slow_start_ms * ms_ns;
  const uint64_t since_ns = now_ns - state.changed_ns;
  if (since_ns >= whole_ns) return {};
  const uint64_t step = since_ns * slow_start_steps / whole_ns;  // 0..9
  const uint64_t next_ns =
      state.changed_ns + ((step + 1) * whole_ns + slow_start_steps - 1) / slow_start_steps;
  return {static_cast<uint8_t>((step + 1) * 100 / slow_start_steps), next_ns};
}

}  // namespace sluice::ctrl

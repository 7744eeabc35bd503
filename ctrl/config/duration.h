// Durations as people write them: "10s", "500ms", "2h". Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/base/result.h"

namespace sluice::ctrl {

/// A whole number and one of ms, s, m, h, d. Fails on anything else and past 10,000 days.
Result<uint64_t> parse_duration_ms(std::string_view text);

/// The shortest exact form: 7'200'000 is "2h", 1'500 is "1500ms".
std::string format_duration_ms(uint64_t ms);

}  // namespace sluice::ctrl

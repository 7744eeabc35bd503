// Durations as people write them: "500ms", "30s", "10m", "2h". Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace sluice::cli {

/// Empty when `text` is not a whole number with one of the units ms, s, m, h, or is over 30 days.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace sluice::cli

#include "ctrl/cli/duration.h"

#include <charconv>

namespace sluice::cli {

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  uint64_t unit_ms = 0;
  if (unit == "ms") unit_ms = 1;
  if (unit == "s") unit_ms = 1'000;
  if (unit == "m") unit_ms = 60'000;
  if (unit == "h") unit_ms = 3'600'000;
  constexpr uint64_t duration_ms_max = 30ull * 24 * 3'600'000;
  if (unit_ms == 0 || number > duration_ms_max / unit_ms) return std::nullopt;
  return std::chrono::milliseconds(number * unit_ms);
}

}  // namespace sluice::cli

#include "ctrl/config/duration.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "ctrl/config/text.h"

namespace sluice::ctrl {
namespace {

struct Unit {
  std::string_view name;
  uint64_t ms;
};

constexpr std::array<Unit, 5> units = {{
    {"d", 86'400'000},
    {"h", 3'600'000},
    {"m", 60'000},
    {"s", 1'000},
    {"ms", 1},
}};
constexpr uint64_t duration_ms_max = 10'000 * units[0].ms;

}  // namespace

Result<uint64_t> parse_duration_ms(std::string_view text) {
  uint64_t amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  const std::string_view unit_name(end, text.data() + text.size());
  for (const Unit& unit : units) {
    if (error != std::errc() || unit.name != unit_name) continue;
    if (amount > duration_ms_max / unit.ms) break;
    return amount * unit.ms;
  }
  return fail(fmt::format("a duration is a number and ms, s, m, h or d (500ms, 10s, 2h), got {}",
                          in_quotes(text)));
}

std::string format_duration_ms(uint64_t ms) {
  if (ms == 0) return "0s";
  for (const Unit& unit : units) {
    if (ms % unit.ms == 0) return fmt::format("{}{}", ms / unit.ms, unit.name);
  }
  return {};
}

}  // namespace sluice::ctrl

#include "ctrl/config/govern_config.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace sluice::ctrl {
namespace {

/// Exactly `digits` of them at the front of `text`, which loses them.
std::optional<int> take_number(std::string_view& text, size_t digits) {
  int number = 0;
  if (text.size() < digits) return std::nullopt;
  const char* end = text.data() + digits;
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop != end || number < 0) return std::nullopt;
  text.remove_prefix(digits);
  return number;
}

bool take(std::string_view& text, char expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<int64_t> take_date_s(std::string_view& text) {
  const auto year = take_number(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = take_number(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = take_number(text, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(unsigned(*month)),
                                         std::chrono::day(unsigned(*day))};
  if (!date.ok() || *year < 1970) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count() * int64_t{86'400};
}

std::optional<int64_t> take_clock_s(std::string_view& text) {
  const auto hour = take_number(text, 2);
  if (!hour || *hour > 23 || !take(text, ':')) return std::nullopt;
  const auto minute = take_number(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  int second = 0;
  if (take(text, ':')) {
    const auto read = take_number(text, 2);
    if (!read || *read > 59) return std::nullopt;
    second = *read;
  }
  if (take(text, '.')) {
    if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') text.remove_prefix(1);
  }
  return *hour * 3600 + *minute * 60 + second;
}

std::optional<int64_t> take_offset_s(std::string_view& text) {
  if (take(text, 'Z') || take(text, 'z')) return 0;
  const int sign = text.starts_with('-') ? -1 : 1;
  if (!take(text, '-') && !take(text, '+')) return std::nullopt;
  const auto hour = take_number(text, 2);
  if (!hour || *hour > 23 || !take(text, ':')) return std::nullopt;
  const auto minute = take_number(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  return sign * (*hour * 3600 + *minute * 60);
}

}  // namespace

bool fits_pattern(std::string_view name, std::string_view pattern) {
  size_t at = 0, star = std::string_view::npos, retry = 0, next = 0;
  while (at < name.size()) {
    if (next < pattern.size() && pattern[next] == '*') {
      star = next++;
      retry = at;
    } else if (next < pattern.size() && pattern[next] == name[at]) {
      next++, at++;
    } else if (star != std::string_view::npos) {
      next = star + 1;
      at = ++retry;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', next) == std::string_view::npos;
}

bool fits_any(std::string_view name, const std::vector<std::string>& patterns) {
  return std::ranges::any_of(
      patterns, [&](const std::string& pattern) { return fits_pattern(name, pattern); });
}

bool is_public(const IpAddress& address) {
  static const std::array inside = {
      parse_prefix("10.0.0.0/8").value(),     parse_prefix("172.16.0.0/12").value(),
      parse_prefix("192.168.0.0/16").value(), parse_prefix("100.64.0.0/10").value(),
      parse_prefix("127.0.0.0/8").value(),    parse_prefix("169.254.0.0/16").value(),
      parse_prefix("fc00::/7").value(),       parse_prefix("fe80::/10").value(),
      parse_prefix("::1/128").value()};
  return std::ranges::none_of(inside,
                              [&](const Prefix& prefix) { return prefix.contains(address); });
}

std::optional<uint64_t> parse_time_unix_ms(std::string_view text) {
  const auto date_s = take_date_s(text);
  if (!date_s) return std::nullopt;
  if (text.empty()) return uint64_t(*date_s) * 1000;
  if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return std::nullopt;
  const auto clock_s = take_clock_s(text);
  if (!clock_s) return std::nullopt;
  const auto offset_s = take_offset_s(text);
  if (!offset_s || !text.empty()) return std::nullopt;
  const int64_t unix_s = *date_s + *clock_s - *offset_s;
  if (unix_s < 0) return std::nullopt;
  return uint64_t(unix_s) * 1000;
}

std::string format_time(uint64_t unix_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time_t(unix_ms / 1000)));
}

}  // namespace sluice::ctrl

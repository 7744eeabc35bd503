// The log: one JSON object a line, to stderr or a file, each line one write(2). Any thread.
// Lines of the same component and message are limited to log_burst_max a second, errors
// included; what was left out is told by "suppressed" in the next line that gets through.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "dataplane/base/result.h"

namespace sluice::ctrl {

enum class LogLevel : uint8_t { debug, info, warn, error };

inline constexpr uint32_t log_burst_max = 20;

Result<LogLevel> parse_log_level(std::string_view text);
std::string_view to_string(LogLevel level);

/// A key and a value of a log line; made on the spot: {"backend", name}, {"failures", 3}.
class LogField {
 public:
  LogField(std::string_view key, std::string_view value) : key_(key), value_(value) {}
  LogField(std::string_view key, const char* value) : key_(key), value_(std::string_view(value)) {}
  LogField(std::string_view key, const std::string& value)
      : key_(key), value_(std::string_view(value)) {}
  template <typename T>
    requires std::is_arithmetic_v<T>
  LogField(std::string_view key, T value) : key_(key) {
    if constexpr (std::is_same_v<T, bool>) {
      value_ = value;
    } else if constexpr (std::is_floating_point_v<T>) {
      value_ = static_cast<double>(value);
    } else if constexpr (std::is_signed_v<T>) {
      value_ = static_cast<int64_t>(value);
    } else {
      value_ = static_cast<uint64_t>(value);
    }
  }

  /// Appends `,"key":value`.
  void append_to(std::string& line) const;

 private:
  std::string_view key_;
  std::variant<std::string_view, bool, int64_t, uint64_t, double> value_;
};

using LogFields = std::initializer_list<LogField>;

struct LogOptions {
  LogLevel level = LogLevel::info;
  std::string file;  // appended to; empty: stderr
};

/// Before the first call the log goes to stderr at level info. Fails when the file cannot be
/// opened; the log then stays as it was.
Status open_log(const LogOptions& options);
/// Opens the file anew, for log rotation. Nothing happens on stderr.
Status reopen_log();

/// `observer` gets every line that is written, without its newline, on the thread that logs.
/// It must not log. An empty function removes it.
void set_log_observer(std::function<void(LogLevel, std::string_view line)> observer);

bool log_enabled(LogLevel level);
/// {"time":"2025-01-31T12:00:00.123Z","level":"info","component":…,"message":…, fields…}
void log(LogLevel level, std::string_view component, std::string_view message, LogFields fields);

inline void log_debug(std::string_view component, std::string_view message, LogFields fields = {}) {
  log(LogLevel::debug, component, message, fields);
}
inline void log_info(std::string_view component, std::string_view message, LogFields fields = {}) {
  log(LogLevel::info, component, message, fields);
}
inline void log_warn(std::string_view component, std::string_view message, LogFields fields = {}) {
  log(LogLevel::warn, component, message, fields);
}
inline void log_error(std::string_view component, std::string_view message, LogFields fields = {}) {
  log(LogLevel::error, component, message, fields);
}

}  // namespace sluice::ctrl

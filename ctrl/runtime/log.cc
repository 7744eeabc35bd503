#include "ctrl/runtime/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace sluice::ctrl {

namespace {

constexpr std::array<std::string_view, 4> level_names = {"debug", "info", "warn", "error"};
constexpr size_t limited_keys_max = 4096;
constexpr uint64_t window_ms = 1000;

/// How many lines of one component and message went out in the running second.
struct Window {
  uint64_t start_ms = 0;
  uint32_t written = 0;
  uint64_t suppressed = 0;
};

struct Log {
  std::atomic<LogLevel> level{LogLevel::info};
  std::mutex mutex;
  int fd = STDERR_FILENO;
  std::string file;
  std::unordered_map<std::string, Window> windows;
  std::function<void(LogLevel, std::string_view)> observer;
};

Log& the_log() {
  // Never destroyed: threads may log while the process ends.
  static Log* const log = new Log;
  return *log;
}

/// Bytes that the well-formed UTF-8 sequence at `text[at]` has; 0 when there is none (RFC 3629).
size_t sequence_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned lead = byte(0);
  const size_t length = lead < 0x80                   ? 1
                        : lead >= 0xc2 && lead < 0xe0 ? 2
                        : lead >= 0xe0 && lead < 0xf0 ? 3
                        : lead >= 0xf0 && lead < 0xf5 ? 4
                                                      : 0;
  if (length == 0 || at + length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool beyond = (lead == 0xed && byte(1) >= 0xa0) || (lead == 0xf4 && byte(1) >= 0x90);
  return overlong || beyond ? 0 : length;
}

/// `text` as a JSON string; bytes that are not UTF-8 become U+FFFD, so that a line stays JSON
/// whatever a peer sends.
void append_string(std::string& line, std::string_view text) {
  line += '"';
  for (size_t at = 0; at < text.size();) {
    const size_t length = sequence_length(text, at);
    const char c = text[at];
    if (length == 0) {
      line += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (c == '\n') {
      line += "\\n";
    } else if (c == '\t') {
      line += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(line), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      line.append(text, at, length);
    }
    at += length == 0 ? 1 : length;
  }
  line += '"';
}

void append_time(std::string& line, const timespec& now) {
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  fmt::format_to(std::back_inserter(line), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                 parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                 parts.tm_sec, now.tv_nsec / 1'000'000);
}

/// False when the line is one too many; else how many were left out before it.
bool let_through(Log& log, std::string_view component, std::string_view message, uint64_t now_ms,
                 uint64_t& suppressed) {
  std::string key(component);
  key += '\0';
  key += message;
  // Messages are constants; should they be made up, memory stays bounded.
  if (log.windows.size() >= limited_keys_max && !log.windows.contains(key)) log.windows.clear();
  Window& window = log.windows[std::move(key)];
  if (now_ms - window.start_ms >= window_ms) {
    suppressed = window.suppressed;
    window = {.start_ms = now_ms};
  }
  if (window.written >= log_burst_max) {
    ++window.suppressed;
    return false;
  }
  ++window.written;
  return true;
}

Result<int> open_file(const std::string& file) {
  if (file.empty()) return STDERR_FILENO;
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return fail(fmt::format("log file {}: {}", file, std::strerror(errno)));
  return fd;
}

Status take_up(Log& log, const std::string& file) {
  const Result<int> fd = open_file(file);
  if (!fd) return std::unexpected(fd.error());
  if (log.fd != STDERR_FILENO) ::close(log.fd);
  log.fd = *fd;
  log.file = file;
  return {};
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view text) {
  for (size_t i = 0; i < level_names.size(); ++i) {
    if (text == level_names[i]) return static_cast<LogLevel>(i);
  }
  return fail(fmt::format("log level \"{}\": must be debug, info, warn or error", text));
}

std::string_view to_string(LogLevel level) { return level_names[static_cast<size_t>(level)]; }

void LogField::append_to(std::string& line) const {
  line += ',';
  append_string(line, key_);
  line += ':';
  const auto out = std::back_inserter(line);
  if (const auto* text = std::get_if<std::string_view>(&value_)) {
    append_string(line, *text);
  } else if (const auto* number = std::get_if<double>(&value_); number != nullptr) {
    // JSON knows no infinity.
    std::isfinite(*number) ? fmt::format_to(out, "{}", *number) : fmt::format_to(out, "null");
  } else {
    std::visit([&](const auto& value) { fmt::format_to(out, "{}", value); }, value_);
  }
}

Status open_log(const LogOptions& options) {
  Log& log = the_log();
  const std::lock_guard lock(log.mutex);
  const Status status = take_up(log, options.file);
  if (status) log.level.store(options.level, std::memory_order_relaxed);
  return status;
}

Status reopen_log() {
  Log& log = the_log();
  const std::lock_guard lock(log.mutex);
  return take_up(log, std::string(log.file));
}

void set_log_observer(std::function<void(LogLevel, std::string_view)> observer) {
  Log& log = the_log();
  const std::lock_guard lock(log.mutex);
  log.observer = std::move(observer);
}

bool log_enabled(LogLevel level) {
  return level >= the_log().level.load(std::memory_order_relaxed);
}

void log(LogLevel level, std::string_view component, std::string_view message, LogFields fields) {
  if (!log_enabled(level)) return;
  Log& log = the_log();
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  timespec monotonic{};
  ::clock_gettime(CLOCK_MONOTONIC, &monotonic);
  const auto now_ms =
      static_cast<uint64_t>(monotonic.tv_sec * 1000 + monotonic.tv_nsec / 1'000'000);

  std::string line = "{\"time\":\"";
  append_time(line, now);
  line += "\",\"level\":\"";
  line += to_string(level);
  line += "\",\"component\":";
  append_string(line, component);
  line += ",\"message\":";
  append_string(line, message);
  for (const LogField& field : fields) field.append_to(line);

  const std::lock_guard lock(log.mutex);
  uint64_t suppressed = 0;
  if (!let_through(log, component, message, now_ms, suppressed)) return;
  if (suppressed > 0) LogField("suppressed", suppressed).append_to(line);
  line += '}';
  if (log.observer) log.observer(level, line);
  line += '\n';
  // A log that cannot be written is no reason to stop.
  [[maybe_unused]] const ssize_t written = ::write(log.fd, line.data(), line.size());
}

}  // namespace sluice::ctrl

#include "nic/log.h"

#include <dlfcn.h>
#include <rte_log.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <deque>
#include <mutex>
#include <utility>

#include "dataplane/base/assert.h"

namespace sluice::nic {
namespace {

constexpr size_t held_lines_max = 64;
constexpr size_t quoted_lines_max = 3;

struct LogState {
  std::mutex mutex;
  LogSink sink;
  LogLevel level = LogLevel::warning;
  bool holding = false;
  std::deque<std::pair<LogLevel, std::string>> held;
};

// Never destroyed: drivers may log from their threads until the process ends.
LogState& state() {
  static auto* instance = new LogState;
  return *instance;
}

LogLevel level_of(uint32_t dpdk_level) {
  if (dpdk_level <= RTE_LOG_ERR) return LogLevel::error;
  if (dpdk_level == RTE_LOG_WARNING) return LogLevel::warning;
  return dpdk_level <= RTE_LOG_INFO ? LogLevel::info : LogLevel::debug;
}

uint32_t dpdk_level_of(LogLevel level) {
  constexpr std::array<uint32_t, 4> levels = {RTE_LOG_ERR, RTE_LOG_WARNING, RTE_LOG_INFO,
                                              RTE_LOG_DEBUG};
  return levels[static_cast<size_t>(level)];
}

/// rte_log() flushes after every message, so that one call is one message.
ssize_t write_message(void*, const char* text, size_t bytes) {
  const LogLevel level = level_of(static_cast<uint32_t>(rte_log_cur_msg_loglevel()));
  std::string_view rest(text, bytes);
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    log_line(level, rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return static_cast<ssize_t>(bytes);
}

// libxdp and libbpf share this shape: level 0 is a warning, 1 information, 2 debugging.
using PrintFunction = int (*)(int level, const char* format, va_list arguments);
using SetPrintFunction = PrintFunction (*)(PrintFunction);

int print_library_message(int level, const char* format, va_list arguments) {
  std::array<char, 512> text{};
  const int length = std::vsnprintf(text.data(), text.size(), format, arguments);
  std::string_view line(text.data());
  while (line.ends_with('\n')) line.remove_suffix(1);
  log_line(level == 0 ? LogLevel::warning : LogLevel::debug, line);
  return length;
}

void route_library(const char* library, const char* setter) {
  // RTLD_NOLOAD: only when the driver is there has it brought its library.
  void* handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
  if (handle == nullptr) return;
  if (auto set_print = reinterpret_cast<SetPrintFunction>(dlsym(handle, setter))) {
    set_print(print_library_message);
  }
  dlclose(handle);
}

}  // namespace

void route_log(LogSink sink, LogLevel level) {
  {
    const std::lock_guard lock(state().mutex);
    state().sink = std::move(sink);
    state().level = level;
  }
  cookie_io_functions_t functions{};
  functions.write = write_message;
  FILE* stream = fopencookie(nullptr, "w", functions);
  SLUICE_ASSERT(stream != nullptr);
  rte_openlog_stream(stream);
  // Warnings are wanted at any level: a LogCapture quotes them.
  rte_log_set_global_level(std::max<uint32_t>(dpdk_level_of(level), RTE_LOG_WARNING));
}

void route_library_log() {
  route_library("libxdp.so.1", "libxdp_set_print");
  route_library("libbpf.so.1", "libbpf_set_print");
}

void log_line(LogLevel level, std::string_view line) {
  if (line.empty()) return;
  LogState& log = state();
  const std::lock_guard lock(log.mutex);
  if (log.holding && level <= LogLevel::warning) {
    if (log.held.size() == held_lines_max) log.held.pop_front();
    log.held.emplace_back(level, line);
    return;
  }
  if (log.sink && level <= log.level) log.sink(level, line);
}

LogCapture::LogCapture() {
  const std::lock_guard lock(state().mutex);
  SLUICE_ASSERT(!state().holding);
  state().holding = true;
}

LogCapture::~LogCapture() {
  std::deque<std::pair<LogLevel, std::string>> rest;
  {
    const std::lock_guard lock(state().mutex);
    state().holding = false;
    rest = std::exchange(state().held, {});
  }
  for (const auto& [level, line] : rest) log_line(level, line);
}

std::string LogCapture::take() {
  const std::lock_guard lock(state().mutex);
  auto lines = std::exchange(state().held, {});
  while (lines.size() > quoted_lines_max) lines.pop_front();
  std::string text;
  for (const auto& [level, line] : lines) text += (text.empty() ? "" : "; ") + line;
  return text;
}

}  // namespace sluice::nic

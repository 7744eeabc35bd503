// sluiced: command line, limits of the process, and one clear line for whatever keeps it from
// starting.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "ctrl/config/config.h"
#include "ctrl/control/bounded_json.h"
#include "ctrl/control/daemon.h"
#include "ctrl/control/whole_file.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {
namespace {

constexpr size_t config_bytes_max = json_bytes_max;

struct CommandLine {
  std::string config;
  std::string log_level = "info";
  std::string log_file;
  bool check = false;
};

int failed(std::string_view message) {
  fmt::print(stderr, "sluiced: {}\n", message);
  return 1;
}

void describe(CLI::App& app, CommandLine& line) {
  app.description(
      "The Sluice load balancer: forwards TCP and UDP between DPDK ports as a configuration file\n"
      "says, and proves every change. Talk to a running sluiced with `sluice`.");
  app.add_option("--config", line.config, "Configuration file (TOML)")
      ->required()
      ->type_name("FILE");
  app.add_flag("--check", line.check, "Only validate the file: exit 0 when it is good, else 1");
  app.add_option("--log-level", line.log_level, "debug, info, warn or error (default info)")
      ->type_name("LEVEL");
  app.add_option("--log-file", line.log_file,
                 "Append JSON lines there instead of stderr; SIGHUP reopens it")
      ->type_name("FILE");
  app.set_version_flag("--version", std::string("sluiced ") + SLUICE_VERSION);
  app.footer(
      "Starts with the traffic that it last served: the file's pools, listeners and routes are\n"
      "taken at the first start, later `sluice apply` takes them. The sections node, port, "
      "control\n"
      "and admin are taken from the file at every start.\n"
      "Exit codes: 0 stopped by SIGTERM or SIGINT, 1 could not start, 2 wrong command line.");
}

/// Parses the file; prints every mistake. Empty when it has some.
std::optional<DaemonOptions> load(const std::string& file) {
  auto text = read_whole_file(file, config_bytes_max);
  if (!text) {
    failed(text.error().message);
    return std::nullopt;
  }
  ParseOutcome outcome = parse_config(*text, file);
  for (const ConfigError& error : outcome.errors) {
    fmt::print(stderr, "sluiced: {}\n", to_string(error));
  }
  if (!outcome.errors.empty()) return std::nullopt;
  return DaemonOptions{.config = std::move(outcome.config),
                       .text = std::move(*text),
                       .file = file,
                       .version = SLUICE_VERSION};
}

Status check_processor() {
  const bool fits = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("fma") && __builtin_cpu_supports("aes");
  if (fits) return {};
  return fail("this processor lacks AVX2, BMI2, FMA or AES-NI; x86-64-v3 with AES is needed");
}

void prepare_process() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a file size limit is an error of write(), as a full disk is
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

int serve(DaemonOptions options, const CommandLine& line) {
  const auto level = parse_log_level(line.log_level);
  if (!level) return failed(level.error().message);
  if (auto opened = open_log({.level = *level, .file = line.log_file}); !opened) {
    return failed(opened.error().message);
  }
  if (auto fits = check_processor(); !fits) return failed(fits.error().message);
  prepare_process();
  Daemon daemon(std::move(options));
  if (auto started = daemon.start(); !started) return failed(started.error().message);
  daemon.run();
  return 0;
}

int run(int argc, char** argv) {
  CommandLine line;
  CLI::App app;
  describe(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  auto options = load(line.config);
  if (!options) return 1;
  if (!line.check) return serve(std::move(*options), line);
  fmt::print("{}: valid: {} ports, {} pools, {} listeners, {} routes\n", line.config,
             options->config.ports.size(), options->config.pools.size(),
             options->config.listeners.size(), options->config.routes.size());
  return 0;
}

}  // namespace
}  // namespace sluice::ctrl

int main(int argc, char** argv) { return sluice::ctrl::run(argc, argv); }

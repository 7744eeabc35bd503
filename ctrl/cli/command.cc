#include "ctrl/cli/command.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "ctrl/cli/client.h"
#include "ctrl/cli/views.h"
#include "ctrl/config/duration.h"

namespace sluice::cli {
namespace {

// sluiced bounds its own work; this only bounds a daemon that hangs.
constexpr std::chrono::seconds answer_slack{30};

constexpr int code_failed = 1;

std::string existing_problem(std::string& text) {
  if (text == "keep" || text == "reset") return {};
  if (text.starts_with("drain:") && ctrl::parse_duration_ms(std::string_view(text).substr(6)))
    return {};
  return fmt::format("\"{}\": must be keep, reset or drain:DURATION, such as drain:30s", text);
}

int exit_code_of(const json& result) {
  const bool asked = !result.value("dry_run", false);
  if (asked && result.contains("waits") && result["waits"].is_object()) return exit_waits;
  const auto proof = result.find("proof");
  if (proof == result.end() || !proof->is_object()) return exit_done;
  return proof->value("verdict", "") == "proved" ? exit_done : exit_not_proved;
}

}  // namespace

int print_refusal(const Global& global, const CallError& error) {
  if (global.as_json) {
    const json out = {
        {"error", {{"code", error.code}, {"message", error.message}, {"data", error.data}}}};
    fmt::print("{}\n", out.dump(2));
    return exit_refused;
  }
  const bool has_mistakes = error.data.is_object() && error.data.contains("errors");
  if (has_mistakes) {
    for (const auto& mistake : error.data["errors"]) {
      fmt::print(stderr, "{}:{}:{}: {}{}{}\n", mistake.value("file", ""), mistake.value("line", 0),
                 mistake.value("column", 0), mistake.value("key", ""),
                 mistake.value("key", "").empty() ? "" : ": ", mistake.value("message", ""));
    }
  }
  fmt::print(stderr, "sluice: {}\n", error.message);
  return exit_refused;
}

std::string duration_problem(std::string& text) {
  const auto duration_ms = ctrl::parse_duration_ms(text);
  return duration_ms ? std::string() : duration_ms.error().message;
}

std::chrono::milliseconds duration_of(std::string_view text) {
  return std::chrono::milliseconds(ctrl::parse_duration_ms(text).value_or(0));
}

void ChangeOptions::add_to(CLI::App& command) {
  command.add_option("--reason", reason, "Why; kept in the history");
  command.add_option("--wait", wait, "How long to wait for the proof (default 5s)")
      ->check(CLI::Validator(duration_problem, "DURATION"));
  command
      .add_option("--existing", existing,
                  "Connections of pools that lose all weight: keep them (default), reset them, or "
                  "let them drain and reset the rest: drain:30s")
      ->check(CLI::Validator(existing_problem, "keep|drain:T|reset"));
  command.add_option("--expect-generation", expect_generation,
                     "Refuse if another generation than this one is served by now");
  command
      .add_option("--confirm-within", confirm_within,
                  "Roll back by itself unless `sluice confirm` comes in time, such as 10m")
      ->check(CLI::Validator(duration_problem, "DURATION"));
  command.add_flag("--break-glass", break_glass,
                   "Emergency: without approval, in a freeze, against policies. Needs --reason; "
                   "everybody will see it");
  command.add_flag("--dry-run", dry_run, "Say what would change, change nothing");
}

std::chrono::milliseconds ChangeOptions::wait_ms() const { return duration_of(wait); }

json ChangeOptions::params() const {
  json params = {{"wait_ms", wait_ms().count()},
                 {"existing", existing.substr(0, existing.find(':'))}};
  if (existing.starts_with("drain:")) {
    params["drain_ms"] = duration_of(std::string_view(existing).substr(6)).count();
  }
  if (!reason.empty()) params["reason"] = reason;
  if (expect_generation != 0) params["expect_generation"] = expect_generation;
  if (dry_run) params["dry_run"] = true;
  if (break_glass) params["break_glass"] = true;
  if (!confirm_within.empty()) params["confirm_within_ms"] = duration_of(confirm_within).count();
  return params;
}

int run_call(const Global& global, const std::string& method, const json& params,
             std::string (*view)(const json&), std::chrono::milliseconds wait) {
  auto client = Client::connect(global.socket);
  if (!client) return print_refusal(global, {code_failed, client.error().message, {}});
  const auto result = client->call(method, params, wait + answer_slack);
  if (!result) return print_refusal(global, result.error());
  fmt::print("{}", global.as_json ? result->dump(2) + "\n" : view(*result));
  return exit_code_of(*result);
}

int run_question(const Global& global, const std::string& method, const json& params,
                 std::string (*view)(const json&), const char* yes) {
  auto client = Client::connect(global.socket);
  if (!client) return print_refusal(global, {code_failed, client.error().message, {}});
  const auto result = client->call(method, params, answer_slack);
  if (!result) return print_refusal(global, result.error());
  fmt::print("{}", global.as_json ? result->dump(2) + "\n" : view(*result));
  return result->value(yes, false) ? exit_done : exit_refused;
}

int run_change(const Global& global, const std::string& method, json params,
               const ChangeOptions& options) {
  params.update(options.params());
  return run_call(global, method, params, change_view, options.wait_ms());
}

bool read_file(const std::string& path, std::string& text) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (file) content << file.rdbuf();
  if (!file) {
    fmt::print(stderr, "sluice: {}: {}\n", path, std::strerror(errno));
    return false;
  }
  text = content.str();
  return true;
}

}  // namespace sluice::cli

// What every command of `sluice` shares: the connection, the output form and the exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "ctrl/cli/client.h"

namespace sluice::cli {

using nlohmann::json;

enum ExitCode : int {
  exit_done = 0,
  exit_refused = 1,
  exit_usage = 2,
  exit_not_proved = 3,
  exit_waits = 4,  // for the approval of a second person
};

/// Options in front of the command.
struct Global {
  std::string socket = "/run/sluice/control.sock";
  bool as_json = false;
};

/// Options of every command that changes traffic.
struct ChangeOptions {
  std::string reason;
  std::string wait = "5s";
  std::string existing = "keep";
  uint64_t expect_generation = 0;
  bool dry_run = false;
  bool break_glass = false;
  std::string confirm_within;  // empty: it need not be confirmed

  void add_to(CLI::App& command);
  /// The options as parameters of the call. Call after parsing: the forms are checked then.
  json params() const;
  std::chrono::milliseconds wait_ms() const;
};

/// Calls sluiced once, prints the answer with `view` (or as JSON), and returns the exit code.
/// A refusal goes to standard error, with every mistake of a configuration on its own line.
int run_call(const Global& global, const std::string& method, const json& params,
             std::string (*view)(const json&), std::chrono::milliseconds wait = {});

/// run_call for a change: the exit code follows the proof's verdict.
int run_change(const Global& global, const std::string& method, json params,
               const ChangeOptions& options);

/// run_call for a question: the exit code is 1 unless the answer's `yes` is true.
int run_question(const Global& global, const std::string& method, const json& params,
                 std::string (*view)(const json&), const char* yes);

/// Prints a refusal as run_call does; the exit code.
int print_refusal(const Global& global, const CallError& error);

/// "" when `text` is a duration (ctrl/config/duration.h), else what is wrong: what CLI11 asks of a
/// validator.
std::string duration_problem(std::string& text);
/// A duration that duration_problem() has passed.
std::chrono::milliseconds duration_of(std::string_view text);

/// Reads a whole file; prints why not and returns false.
bool read_file(const std::string& path, std::string& text);

/// The chosen command, to be run after parsing.
using Action = std::function<int()>;

void add_read_commands(CLI::App& app, const Global& global, Action& action);
void add_change_commands(CLI::App& app, const Global& global, Action& action);
void add_live_commands(CLI::App& app, const Global& global, Action& action);
void add_govern_commands(CLI::App& app, const Global& global, Action& action);
void add_audit_commands(CLI::App& app, const Global& global, Action& action);
void add_completion_command(CLI::App& app, Action& action);

}  // namespace sluice::cli

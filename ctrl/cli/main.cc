// sluice: the command-line client of sluiced.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>

#include "ctrl/cli/command.h"

namespace sluice::cli {
namespace {

constexpr const char* about =
    "Shapes the traffic of a running sluiced, and proves that its data plane serves what you "
    "asked.";

constexpr const char* footer =
    "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not proved, 4 awaits approval.\n"
    "Every command explains itself: sluice COMMAND --help";

/// Names the command whose help answers it: that of the subcommand, when one was given.
std::string usage_message(const CLI::App* app, const CLI::Error& error) {
  std::string command = "sluice";
  for (const auto* chosen : app->get_subcommands()) command += " " + chosen->get_name();
  std::string what = error.what();
  const auto unknown = app->remaining(true);
  if (!unknown.empty()) what = fmt::format("unknown command or argument \"{}\"", unknown.front());
  return fmt::format("{}: {}\nSee: {} --help\n", command, what, command);
}

int run(int argc, char** argv) {
  CLI::App app{about, "sluice"};
  Global global;
  Action action;
  app.require_subcommand(1);
  app.footer(footer);
  app.fallthrough();
  app.failure_message(usage_message);
  app.set_version_flag("--version", std::string("sluice ") + SLUICE_VERSION);
  app.add_option("--socket", global.socket, "Control socket (default /run/sluice/control.sock)")
      ->envname("SLUICE_SOCKET");
  app.add_flag("--json", global.as_json, "Print JSON instead of text");
  add_read_commands(app, global, action);
  add_change_commands(app, global, action);
  add_live_commands(app, global, action);
  add_govern_commands(app, global, action);
  add_audit_commands(app, global, action);
  add_completion_command(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_done : exit_usage;
  }
  return action();
}

}  // namespace
}  // namespace sluice::cli

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);  // `sluice top | head` ends quietly
  return sluice::cli::run(argc, argv);
}

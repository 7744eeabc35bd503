// apply, weight, switch, rollback, drain: they change traffic and print the proof. confirm.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>

#include "ctrl/cli/command.h"
#include "ctrl/cli/views.h"

namespace sluice::cli {
namespace {

/// "orders-v2=5" → {"orders-v2": 5}; false after printing what is wrong.
bool parse_weights(const std::vector<std::string>& arguments, json& weights) {
  for (const auto& argument : arguments) {
    const size_t equals = argument.rfind('=');
    uint32_t weight = 0;
    const char* const begin = argument.data() + (equals == std::string::npos ? 0 : equals + 1);
    const char* const end = argument.data() + argument.size();
    const auto [stop, error] = std::from_chars(begin, end, weight);
    if (equals == std::string::npos || equals == 0 || error != std::errc{} || stop != end) {
      fmt::print(stderr, "sluice: \"{}\": write POOL=WEIGHT, such as orders-v2=5\n", argument);
      return false;
    }
    weights[argument.substr(0, equals)] = weight;
  }
  return true;
}

void add_apply(CLI::App& app, const Global& global, Action& action) {
  struct Options : ChangeOptions {
    std::string file;
    std::vector<std::string> take_over;
    bool keep_held = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("apply", "Serve the pools, listeners and routes of a file");
  command->add_option("file", options->file, "Configuration (TOML)")->required();
  options->add_to(*command);
  command->footer(
      "All or nothing: a file with a mistake changes nothing, and every mistake is named.\n"
      "Weights and drains that somebody set by hand are theirs: a file that says something else "
      "is\n"
      "refused, unless they are taken over by name or kept. `sluice diff` shows them.");
  command->add_option("--take-over", options->take_over,
                      "Routes and pools whose held weights and drains give way to the file");
  command->add_flag("--keep-held", options->keep_held,
                    "Leave held weights and drains as they are, apply the rest");
  command->callback([&global, &action, options] {
    action = [&global, options] {
      std::string text;
      if (!read_file(options->file, text)) return int{exit_refused};
      json params = {{"text", text}, {"file", options->file}};
      if (!options->take_over.empty()) params["take_over"] = options->take_over;
      if (options->keep_held) params["keep_held"] = true;
      return run_change(global, "config.apply", params, *options);
    };
  });
}

void add_weight(CLI::App& app, const Global& global, Action& action) {
  struct Options : ChangeOptions {
    std::string route;
    uint32_t rule = 0;
    std::vector<std::string> weights;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("weight", "Set the weights of a route's pools");
  command->add_option("route", options->route, "Route")->required();
  command->add_option("weights", options->weights, "POOL=WEIGHT ...; pools not named keep theirs")
      ->required();
  command->add_option("--rule", options->rule, "Rule of the route, counted from 0 (default 0)");
  options->add_to(*command);
  command->footer("Example: sluice weight orders orders-v1=95 orders-v2=5 --reason 'canary'");
  command->callback([&global, &action, options] {
    action = [&global, options] {
      json weights = json::object();
      if (!parse_weights(options->weights, weights)) return int{exit_usage};
      return run_change(global, "route.weight",
                        {{"route", options->route}, {"rule", options->rule}, {"weights", weights}},
                        *options);
    };
  });
}

void add_switch(CLI::App& app, const Global& global, Action& action) {
  struct Options : ChangeOptions {
    std::string route, to;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("switch", "Give one pool all of a route's new connections");
  command->add_option("route", options->route, "Route")->required();
  command->add_option("--to", options->to, "Pool that takes over")->required();
  options->add_to(*command);
  command->footer(
      "Example: sluice switch orders --to orders-green --existing drain:30s --wait 40s");
  command->callback([&global, &action, options] {
    action = [&global, options] {
      return run_change(global, "route.switch", {{"route", options->route}, {"to", options->to}},
                        *options);
    };
  });
}

void add_rollback(CLI::App& app, const Global& global, Action& action) {
  struct Options : ChangeOptions {
    uint64_t generation = 0;
  };
  auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("rollback", "Serve an earlier generation's content, as a new generation");
  command->add_option("generation", options->generation,
                      "Generation to go back to (default: the one before)");
  options->add_to(*command);
  command->callback([&global, &action, options] {
    action = [&global, options] {
      json params = json::object();
      if (options->generation != 0) params["generation"] = options->generation;
      return run_change(global, "rollback", params, *options);
    };
  });
}

void add_drain(CLI::App& app, const Global& global, Action& action) {
  struct Options : ChangeOptions {
    std::string target;
    bool undo = false;
  };
  auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("drain", "Give a pool or a backend no new connections, in every route");
  command->add_option("target", options->target, "POOL, or a backend as ADDRESS:PORT")->required();
  command->add_flag("--undo", options->undo, "Take it back into service");
  options->add_to(*command);
  command->callback([&global, &action, options] {
    action = [&global, options] {
      json params = {{"target", options->target}};
      if (options->undo) params["undo"] = true;
      return run_change(global, "pool.drain", params, *options);
    };
  });
}

void add_confirm(CLI::App& app, const Global& global, Action& action) {
  struct Options {
    uint64_t generation = 0;
    std::string reason;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "confirm",
      "Keep the change that was made with --confirm-within; it is rolled back otherwise");
  command->add_option("generation", options->generation, "Only if it is this generation");
  command->add_option("--reason", options->reason, "Why; kept in the history");
  command->callback([&global, &action, options] {
    action = [&global, options] {
      json params = json::object();
      if (options->generation != 0) params["generation"] = options->generation;
      if (!options->reason.empty()) params["reason"] = options->reason;
      return run_call(global, "confirm", params, confirm_view);
    };
  });
}

}  // namespace

void add_change_commands(CLI::App& app, const Global& global, Action& action) {
  add_apply(app, global, action);
  add_weight(app, global, action);
  add_switch(app, global, action);
  add_rollback(app, global, action);
  add_drain(app, global, action);
  add_confirm(app, global, action);
}

}  // namespace sluice::cli

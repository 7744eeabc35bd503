// can-i, pending, approve, reject, freeze, unfreeze, freezes: who may change what, and when.
#include <fmt/format.h>

#include <cstdio>

#include "ctrl/cli/command.h"
#include "ctrl/cli/govern_view.h"
#include "ctrl/cli/views.h"

namespace sluice::cli {
namespace {

void add_can_i(CLI::App& app, const Global& global, Action& action) {
  struct Options {
    std::string verb, route;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("can-i", "Whether you may do something, and if not, why");
  command->add_option("verb", options->verb, "apply, weight, switch, rollback, drain, approve, ...")
      ->required();
  command->add_option("route", options->route, "On this route (default: on any)");
  command->footer("Exit code 0: yes. 1: no.");
  command->callback([&global, &action, options] {
    action = [&global, options] {
      json params = {{"verb", options->verb}};
      if (!options->route.empty()) params["route"] = options->route;
      return run_question(global, "access.can", params, can_view, "allowed");
    };
  });
}

void add_pending(CLI::App& app, const Global& global, Action& action) {
  auto* command = app.add_subcommand("pending", "Changes that wait for a second person");
  command->callback([&global, &action] {
    action = [&global] { return run_call(global, "approval.list", json::object(), pending_view); };
  });
}

struct Decision {
  std::string id, reason, wait = "5s";

  json params() const {
    json params = {{"id", id}};
    if (!reason.empty()) params["reason"] = reason;
    return params;
  }
};

void add_approve(CLI::App& app, const Global& global, Action& action) {
  auto options = std::make_shared<Decision>();
  auto* command =
      app.add_subcommand("approve", "Let a change that somebody else asked for be made, now");
  command->add_option("id", options->id, "As `sluice pending` shows it")->required();
  command->add_option("--reason", options->reason, "Why; kept in the audit log");
  command->add_option("--wait", options->wait, "How long to wait for the proof (default 5s)")
      ->check(CLI::Validator(duration_problem, "DURATION"));
  command->footer(
      "Bound to what you saw: if the change would do anything else by now, it is refused.");
  command->callback([&global, &action, options] {
    action = [&global, options] {
      const auto wait = duration_of(options->wait);
      json params = options->params();
      params["wait_ms"] = wait.count();
      return run_call(global, "approval.approve", params, change_view, wait);
    };
  });
}

void add_reject(CLI::App& app, const Global& global, Action& action) {
  auto options = std::make_shared<Decision>();
  auto* command = app.add_subcommand("reject", "Turn down a change that waits, or take yours back");
  command->add_option("id", options->id, "As `sluice pending` shows it")->required();
  command->add_option("--reason", options->reason, "Why; kept in the audit log");
  command->callback([&global, &action, options] {
    action = [&global, options] {
      return run_call(global, "approval.reject", options->params(), rejected_view);
    };
  });
}

void add_freeze(CLI::App& app, const Global& global, Action& action) {
  struct Options {
    std::string name, reason, duration;
    std::vector<std::string> routes;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("freeze", "No change but rollback for a while");
  command->add_option("routes", options->routes, "Routes or patterns (default: everything)");
  command->add_option("--for", options->duration, "How long, such as 2h")
      ->required()
      ->check(CLI::Validator(duration_problem, "DURATION"));
  command->add_option("--reason", options->reason, "Why; shown to whoever is refused")->required();
  command->add_option("--name", options->name, "Its name (default manual)");
  command->callback([&global, &action, options] {
    action = [&global, options] {
      json params = {{"for_ms", duration_of(options->duration).count()},
                     {"reason", options->reason}};
      if (!options->routes.empty()) params["routes"] = options->routes;
      if (!options->name.empty()) params["name"] = options->name;
      return run_call(global, "freeze.set", params, freeze_view);
    };
  });
}

void add_unfreeze(CLI::App& app, const Global& global, Action& action) {
  struct Options {
    std::string name, reason;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("unfreeze", "Lift a freeze");
  command->add_option("name", options->name, "Its name (default manual)");
  command->add_option("--reason", options->reason, "Why; kept in the audit log");
  command->callback([&global, &action, options] {
    action = [&global, options] {
      json params = json::object();
      if (!options->name.empty()) params["name"] = options->name;
      if (!options->reason.empty()) params["reason"] = options->reason;
      return run_call(global, "freeze.lift", params, lifted_view);
    };
  });
}

void add_freezes(CLI::App& app, const Global& global, Action& action) {
  auto* command = app.add_subcommand("freezes", "Freezes that are on or to come");
  command->callback([&global, &action] {
    action = [&global] { return run_call(global, "freeze.list", json::object(), freezes_view); };
  });
}

}  // namespace

void add_govern_commands(CLI::App& app, const Global& global, Action& action) {
  add_can_i(app, global, action);
  add_pending(app, global, action);
  add_approve(app, global, action);
  add_reject(app, global, action);
  add_freeze(app, global, action);
  add_unfreeze(app, global, action);
  add_freezes(app, global, action);
}

}  // namespace sluice::cli

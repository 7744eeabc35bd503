// status, check, diff, get, history, verify, flows, explain: they change nothing.
#include <fmt/format.h>

#include <cstdio>

#include "ctrl/cli/client.h"
#include "ctrl/cli/command.h"
#include "ctrl/cli/views.h"
#include "ctrl/config/config.h"

namespace sluice::cli {
namespace {

void add_status(CLI::App& app, const Global& global, Action& action) {
  auto* command = app.add_subcommand("status", "What is served now, by every worker");
  command->callback([&global, &action] {
    action = [&global] { return run_call(global, "status", json::object(), status_view); };
  });
}

int check(const Global& global, const std::string& path) {
  std::string text;
  if (!read_file(path, text)) return exit_refused;
  const auto outcome = ctrl::parse_config(text, path);
  if (global.as_json) {
    json errors = json::array();
    for (const auto& error : outcome.errors) {
      errors.push_back({{"file", error.file},
                        {"line", error.line},
                        {"column", error.column},
                        {"key", error.key},
                        {"message", error.message}});
    }
    fmt::print("{}\n", json({{"valid", errors.empty()}, {"errors", errors}}).dump(2));
  } else if (outcome.errors.empty()) {
    fmt::print("{}: valid: {} ports, {} pools, {} listeners, {} routes\n", path,
               outcome.config.ports.size(), outcome.config.pools.size(),
               outcome.config.listeners.size(), outcome.config.routes.size());
  } else {
    for (const auto& error : outcome.errors) fmt::print(stderr, "{}\n", ctrl::to_string(error));
    fmt::print(stderr, "sluice: {}: {} mistake{}\n", path, outcome.errors.size(),
               outcome.errors.size() == 1 ? "" : "s");
  }
  return outcome.errors.empty() ? exit_done : exit_refused;
}

void add_check(CLI::App& app, const Global& global, Action& action) {
  auto file = std::make_shared<std::string>();
  auto* command = app.add_subcommand("check", "Validate a configuration file; needs no sluiced");
  command->add_option("file", *file, "Configuration (TOML)")->required();
  command->callback(
      [&global, &action, file] { action = [&global, file] { return check(global, *file); }; });
}

void add_diff(CLI::App& app, const Global& global, Action& action) {
  auto file = std::make_shared<std::string>();
  auto* command = app.add_subcommand("diff", "What applying a file would change");
  command->add_option("file", *file, "Configuration (TOML)")->required();
  command->callback([&global, &action, file] {
    action = [&global, file] {
      std::string text;
      if (!read_file(*file, text)) return int{exit_refused};
      const json params = {{"text", text}, {"file", *file}};
      return run_call(
          global, "config.diff", params, +[](const json& result) {
            json as_change = result;
            as_change["dry_run"] = true;
            return change_view(as_change);
          });
    };
  });
}

void add_get(CLI::App& app, const Global& global, Action& action) {
  struct Options {
    std::string kind, name;
  };
  auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("get", "What is configured, with the changes made since the file");
  command->add_option("kind", options->kind, "node, port, pool, backend, listener, route or config")
      ->required()
      ->check(CLI::IsMember({"node", "port", "pool", "backend", "listener", "route", "config"}));
  command->add_option("name", options->name, "Only this one");
  command->callback([&global, &action, options] {
    action = [&global, options] {
      json params = {{"kind", options->kind}};
      if (!options->name.empty()) params["name"] = options->name;
      return run_call(global, "config.get", params,
                      options->kind == "config" ? config_text_view : items_view);
    };
  });
}

void add_health(CLI::App& app, const Global& global, Action& action) {
  struct Options {
    std::string pool;
    uint32_t limit = 1000;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "health", "Backends: last result of their checks, why, since when, what comes next");
  command->add_option("pool", options->pool, "Only of this pool");
  command->add_option("--limit", options->limit, "At most so many backends (default 1000)")
      ->check(CLI::Range(1u, 65'535u));
  command->callback([&global, &action, options] {
    action = [&global, options] {
      json params = {{"limit", options->limit}};
      if (!options->pool.empty()) params["pool"] = options->pool;
      return run_call(global, "health", params, health_view);
    };
  });
}

void add_history(CLI::App& app, const Global& global, Action& action) {
  auto limit = std::make_shared<uint32_t>(20);
  auto* command =
      app.add_subcommand("history", "Generations: who changed what, when, why, and proof");
  command->add_option("--limit", *limit, "At most so many, newest first (default 20)");
  command->callback([&global, &action, limit] {
    action = [&global, limit] {
      return run_call(global, "history", {{"limit", *limit}}, history_view);
    };
  });
}

void add_verify(CLI::App& app, const Global& global, Action& action) {
  struct Options {
    std::string route, wait = "5s";
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("verify", "Prove that the data plane serves what was asked");
  command->add_option("route", options->route, "Only this route");
  command->add_option("--wait", options->wait, "How long to wait for the proof (default 5s)")
      ->check(CLI::Validator(duration_problem, "DURATION"));
  command->footer("Exit code 0: proved. 3: not proved (or still draining).");
  command->callback([&global, &action, options] {
    action = [&global, options] {
      const auto wait = duration_of(options->wait);
      json params = {{"wait_ms", wait.count()}};
      if (!options->route.empty()) params["route"] = options->route;
      return run_call(global, "verify", params, verify_view, wait);
    };
  });
}

struct FlowsOptions {
  uint32_t limit = 100;
  std::string pool, backend, route;
};

/// Pages through the workers until `limit` flows are there; one answer for the caller.
int list_flows(const Global& global, const FlowsOptions& options) {
  auto client = Client::connect(global.socket);
  if (!client) {
    fmt::print(stderr, "sluice: {}\n", client.error().message);
    return exit_refused;
  }
  json all = {{"flows", json::array()}};
  uint64_t cursor = 0;
  do {
    json params = {{"limit", options.limit - all["flows"].size()}, {"cursor", cursor}};
    if (!options.pool.empty()) params["pool"] = options.pool;
    if (!options.backend.empty()) params["backend"] = options.backend;
    if (!options.route.empty()) params["route"] = options.route;
    const auto page = client->call("flows", params, std::chrono::seconds(30));
    if (!page) {
      fmt::print(stderr, "sluice: {}\n", page.error().message);
      return exit_refused;
    }
    for (const auto& flow : page->value("flows", json::array())) all["flows"].push_back(flow);
    cursor = page->value("next", 0ull);
  } while (cursor != 0 && all["flows"].size() < options.limit);
  all["more"] = cursor != 0;
  fmt::print("{}", global.as_json ? all.dump(2) + "\n" : flows_view(all));
  if (cursor != 0 && !global.as_json) fmt::print("(more: raise --limit)\n");
  return exit_done;
}

void add_flows(CLI::App& app, const Global& global, Action& action) {
  auto options = std::make_shared<FlowsOptions>();
  auto* command = app.add_subcommand("flows", "Connections that the workers track");
  command->add_option("--limit", options->limit, "At most so many (default 100)")
      ->check(CLI::Range(1u, 10'000'000u));
  command->add_option("--pool", options->pool, "Only of this pool");
  command->add_option("--backend", options->backend, "Only of this backend (ADDRESS:PORT)");
  command->add_option("--route", options->route, "Only of this route");
  command->callback([&global, &action, options] {
    action = [&global, options] { return list_flows(global, *options); };
  });
}

void add_explain(CLI::App& app, const Global& global, Action& action) {
  struct Options {
    std::string protocol, source, destination;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "explain", "Which backend a new connection would get, and why, by the data plane's own code");
  command->add_option("protocol", options->protocol, "tcp or udp")
      ->required()
      ->check(CLI::IsMember({"tcp", "udp"}));
  command->add_option("source", options->source, "Client as ADDRESS:PORT")->required();
  command->add_option("destination", options->destination, "Listener as ADDRESS:PORT")->required();
  command->footer("Example: sluice explain tcp 198.51.100.7:40000 10.0.0.100:80");
  command->callback([&global, &action, options] {
    action = [&global, options] {
      return run_call(global, "explain",
                      {{"protocol", options->protocol},
                       {"source", options->source},
                       {"destination", options->destination}},
                      explain_view);
    };
  });
}

}  // namespace

void add_read_commands(CLI::App& app, const Global& global, Action& action) {
  add_status(app, global, action);
  add_health(app, global, action);
  add_check(app, global, action);
  add_diff(app, global, action);
  add_get(app, global, action);
  add_history(app, global, action);
  add_verify(app, global, action);
  add_flows(app, global, action);
  add_explain(app, global, action);
}

}  // namespace sluice::cli

// top, watch: they stay connected.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <thread>

#include "ctrl/cli/client.h"
#include "ctrl/cli/command.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/views.h"

namespace sluice::cli {
namespace {

struct TopOptions {
  std::string interval = "1s";
  uint32_t count = 0;
};

/// Decisions by (route, rule, pool) at the previous sample.
using Decisions = std::map<std::string, uint64_t>;

std::string top_view(const json& status, Decisions& before, double seconds) {
  Table table({"ROUTE", ">RULE", "POOL", ">WEIGHT", ">ASKED", ">SERVED", ">NEW/S", ">ACTIVE",
               ">LAST DECISION"});
  Decisions now;
  for (const auto& route : status.value("routes", json::array())) {
    size_t rule_index = 0;
    for (const auto& rule : route.value("rules", json::array())) {
      const auto pools = rule.value("pools", json::array());
      const auto key_of = [&](const json& pool) {
        return fmt::format("{}/{}/{}", route.value("name", ""), rule_index, pool.value("pool", ""));
      };
      double sum = 0;
      for (const auto& pool : pools) {
        const std::string key = key_of(pool);
        now[key] = pool.value("decisions", 0ull);
        const auto old = before.find(key);
        if (old != before.end()) sum += static_cast<double>(now[key] - old->second);
      }
      for (const auto& pool : pools) {
        const std::string key = key_of(pool);
        const auto old = before.find(key);
        const double made = old == before.end() ? 0 : static_cast<double>(now[key] - old->second);
        table.add({route.value("name", ""), std::to_string(rule_index), pool.value("pool", ""),
                   std::to_string(pool.value("weight", 0)), percent_text(pool.value("share", 0.0)),
                   sum > 0 ? percent_text(made / sum) : "-", fmt::format("{:.0f}", made / seconds),
                   grouped(pool.value("active", 0ull)),
                   ago_text(pool.value("last_decision_ago_ms", json()))});
      }
      ++rule_index;
    }
  }
  before = std::move(now);
  std::string out = fmt::format("{}  generation {}  revision {}\n", status.value("name", ""),
                                status.value("generation", 0ull), status.value("revision", 0ull));
  out += awaiting_view(status.value("confirm", json()));
  for (const auto& worker : status.value("workers", json::array())) {
    out += fmt::format("worker {}: {:.1f} % busy, {} flows, serves generation {}\n",
                       worker.value("worker", 0), worker.value("busy_percent", 0.0),
                       grouped(worker.value("flows_v4", 0ull) + worker.value("flows_v6", 0ull)),
                       worker.value("generation", 0ull));
  }
  out += "\n" + table.render();
  for (const auto& pool : status.value("pools", json::array())) {
    for (const auto& backend : pool.value("backends", json::array())) {
      const std::string state = backend.value("state", "");
      if (state == "up" || state == "unchecked") continue;
      out += tinted(Tint::bad,
                    fmt::format("{}: {} port {} is {}\n", pool.value("name", ""),
                                backend.value("address", ""), backend.value("port", 0), state));
    }
  }
  return out;
}

int run_top(const Global& global, const TopOptions& options) {
  auto client = Client::connect(global.socket);
  if (!client) {
    fmt::print(stderr, "sluice: {}\n", client.error().message);
    return exit_refused;
  }
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  const auto interval = std::max(duration_of(options.interval), std::chrono::milliseconds(100));
  Decisions before;
  auto sampled = std::chrono::steady_clock::now();
  for (uint32_t shown = 0; options.count == 0 || shown < options.count; ++shown) {
    if (shown > 0) std::this_thread::sleep_for(interval);
    const auto status = client->call("status", json::object(), std::chrono::seconds(30));
    if (!status) {
      fmt::print(stderr, "sluice: {}\n", status.error().message);
      return exit_refused;
    }
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::max(std::chrono::duration<double>(now - sampled).count(), 0.001);
    sampled = now;
    if (global.as_json) {
      fmt::print("{}\n", status->dump());
    } else {
      // Home and clear below, so that the picture does not flicker.
      fmt::print("{}{}{}", terminal ? "\033[H\033[J" : "", top_view(*status, before, seconds),
                 terminal ? "\n(Ctrl-C ends)\n" : "\n");
    }
    if (std::fflush(stdout) != 0) return exit_done;  // the reader of our pipe left
  }
  return exit_done;
}

int run_watch(const Global& global) {
  auto client = Client::connect(global.socket);
  if (!client) {
    fmt::print(stderr, "sluice: {}\n", client.error().message);
    return exit_refused;
  }
  const auto accepted = client->call("watch", json::object(), std::chrono::seconds(30));
  if (!accepted) {
    fmt::print(stderr, "sluice: {}\n", accepted.error().message);
    return exit_refused;
  }
  for (;;) {
    const auto event = client->next_event();
    if (!event) {
      fmt::print(stderr, "sluice: {}\n", event.error().message);
      return exit_refused;
    }
    fmt::print("{}\n", event->dump());
    if (std::fflush(stdout) != 0) return exit_done;
  }
}

}  // namespace

void add_live_commands(CLI::App& app, const Global& global, Action& action) {
  auto options = std::make_shared<TopOptions>();
  auto* top = app.add_subcommand("top", "Live view: weights asked and served, connections, health");
  top->add_option("--interval", options->interval, "Time between two pictures (default 1s)")
      ->check(CLI::Validator(duration_problem, "DURATION"));
  top->add_option("--count", options->count, "Stop after so many pictures (default: never)");
  top->callback([&global, &action, options] {
    action = [&global, options] { return run_top(global, *options); };
  });
  auto* watch = app.add_subcommand("watch", "Print events as JSON lines: changes, proofs, health");
  watch->callback([&global, &action] { action = [&global] { return run_watch(global); }; });
}

}  // namespace sluice::cli

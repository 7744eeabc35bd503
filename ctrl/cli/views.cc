#include "ctrl/cli/views.h"

#include <fmt/format.h>

#include <cmath>

#include "ctrl/cli/govern_view.h"
#include "ctrl/cli/table.h"

namespace sluice::cli {
namespace {

// Independent clients come so far from their share once in 150,000 looks.
constexpr double deviation_told = 4.5;

std::string text_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "-";
  return value.dump();
}

std::string field(const json& object, const char* key) {
  const auto at = object.find(key);
  return at == object.end() ? "-" : text_of(*at);
}

std::string count(const json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_number()) return "-";
  return grouped(at->get<uint64_t>());
}

std::string joined(const json& array) {
  std::string out;
  for (const auto& item : array) out += (out.empty() ? "" : ", ") + text_of(item);
  return out.empty() ? "-" : out;
}

const json& list(const json& object, const char* key) {
  static const json empty = json::array();
  const auto at = object.find(key);
  return at == object.end() || !at->is_array() ? empty : *at;
}

Tint tint_of_state(const std::string& state) {
  if (state == "up" || state == "proved") return Tint::good;
  if (state == "down" || state == "not-proved") return Tint::bad;
  return state == "unchecked" ? Tint::none : Tint::warning;
}

std::string workers_view(const json& status) {
  Table table({"WORKER", ">CORE", ">GENERATION", ">REVISION", ">ACKNOWLEDGED", ">FLOWS", ">BUSY",
               ">PACKETS", ">HANDED OFF"});
  for (const auto& worker : list(status, "workers")) {
    const uint64_t flows = worker.value("flows_v4", 0ull) + worker.value("flows_v6", 0ull);
    table.add({field(worker, "worker"), field(worker, "core"), field(worker, "generation"),
               field(worker, "revision"),
               ago_text(worker.value("acknowledged_ago_ms", json())) + " ago", grouped(flows),
               fmt::format("{:.1f} %", worker.value("busy_percent", 0.0)),
               count(worker, "rx_packets"), count(worker, "handoff_out")});
  }
  return table.render();
}

std::string ports_view(const json& status) {
  Table table(
      {"PORT", "DEVICE", "DRIVER", "MAC", ">QUEUES", "KERNEL", ">RX PACKETS", ">TX PACKETS"});
  for (const auto& port : list(status, "ports")) {
    table.add({field(port, "name"), field(port, "device"), field(port, "driver"),
               field(port, "mac"), field(port, "queues"), field(port, "tap"),
               count(port, "rx_packets"), count(port, "tx_packets")});
  }
  return table.render();
}

std::string routes_view(const json& status) {
  Table table({"ROUTE", ">RULE", "POOL", "VERSION", ">WEIGHT", ">SHARE", ">DECISIONS", ">ACTIVE",
               ">LAST DECISION"});
  for (const auto& route : list(status, "routes")) {
    size_t index = 0;
    for (const auto& rule : list(route, "rules")) {
      for (const auto& pool : list(rule, "pools")) {
        table.add({field(route, "name"), std::to_string(index), field(pool, "pool"),
                   field(pool, "version"), field(pool, "weight"),
                   percent_text(pool.value("share", 0.0)), count(pool, "decisions"),
                   count(pool, "active"), ago_text(pool.value("last_decision_ago_ms", json()))});
      }
      ++index;
    }
  }
  return table.render();
}

std::string pools_view(const json& status) {
  Table table({"POOL", "BACKEND", ">WEIGHT", ">TIER", "STATE", ">SINCE", ">ACTIVE", ">CONNECTIONS",
               "REASON"});
  for (const auto& pool : list(status, "pools")) {
    for (const auto& backend : list(pool, "backends")) {
      const std::string address = field(backend, "address");
      const bool v6 = address.find(':') != std::string::npos;
      table.add(
          {field(pool, "name"),
           fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), address, field(backend, "port")),
           field(backend, "weight"), field(backend, "tier"), field(backend, "state"),
           ago_text(backend.value("since_ms", json())), count(backend, "active"),
           count(backend, "connections"),
           backend.value("reason", json("")).is_string() ? backend.value("reason", "") : ""});
    }
  }
  return table.render();
}

std::string verdicts_view(const json& status) {
  const auto verdicts = status.find("verdicts");
  if (verdicts == status.end() || !verdicts->is_object()) return {};
  Table table({"VERDICT", ">PACKETS"});
  for (const auto& [name, packets] : verdicts->items()) {
    if (packets.is_number() && packets.get<uint64_t>() > 0) {
      table.add({name, grouped(packets.get<uint64_t>())});
    }
  }
  return table.empty() ? "" : table.render();
}

/// Pools that got another share than they should have had, had the clients been independent.
std::string deviations_view(const json& proof) {
  std::string out;
  for (const auto& pool : list(proof, "pools")) {
    const auto found = pool.find("z");
    const double z = found != pool.end() && found->is_number() ? found->get<double>() : 0;
    if (std::abs(z) < deviation_told) continue;
    out += tinted(
        Tint::warning,
        fmt::format("  pool {} got {} of the connections of the last {}, {} was asked: "
                    "{:.0f} standard deviations {}. Do few clients open most of them?\n",
                    field(pool, "pool"), percent_text(pool.value("share_window", 0.0)),
                    ago_text(pool.value("window_ms", json())),
                    percent_text(pool.value("share", 0.0)), std::abs(z), z > 0 ? "more" : "less"));
  }
  return out;
}

}  // namespace

std::string grouped(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string percent_text(double share) { return fmt::format("{:.3f} %", share * 100); }

std::string ago_text(const json& ms) {
  if (!ms.is_number()) return "never";
  const double value = ms.get<double>();
  if (value < 1) return fmt::format("{:.0f} us", value * 1000);
  if (value < 1000) return fmt::format("{:.0f} ms", value);
  if (value < 120'000) return fmt::format("{:.1f} s", value / 1000);
  if (value < 7'200'000) return fmt::format("{:.0f} min", value / 60'000);
  return fmt::format("{:.1f} h", value / 3'600'000);
}

std::string status_view(const json& status) {
  std::string out =
      fmt::format("{} {} (pid {}), generation {}, revision {}, up {}\n\n", field(status, "name"),
                  field(status, "version"), field(status, "pid"), field(status, "generation"),
                  field(status, "revision"), ago_text(status.value("uptime_s", 0.0) * 1000));
  if (const std::string awaiting = awaiting_view(status.value("confirm", json()));
      !awaiting.empty()) {
    out += awaiting + "\n";
  }
  out += workers_view(status) + "\n" + ports_view(status);
  Table listeners({"LISTENER", "PROTOCOL", "ADDRESS", "PORT", "MODE", "ROUTES"});
  for (const auto& listener : list(status, "listeners")) {
    listeners.add({field(listener, "name"), field(listener, "protocol"), field(listener, "address"),
                   field(listener, "port"), field(listener, "mode"),
                   joined(list(listener, "routes"))});
  }
  if (!listeners.empty()) out += "\n" + listeners.render();
  if (!list(status, "routes").empty()) {
    out += "\n" + routes_view(status);
    if (const std::string text = conditions_view(list(status, "routes")); !text.empty()) {
      out += "\n" + text;
    }
  }
  if (!list(status, "pools").empty()) out += "\n" + pools_view(status);
  if (const std::string verdicts = verdicts_view(status); !verdicts.empty()) out += "\n" + verdicts;
  return out;
}

std::string proof_view(const json& proof) {
  const std::string verdict = field(proof, "verdict");
  std::string out =
      fmt::format("{} generation {} (revision {})", tinted(tint_of_state(verdict), verdict),
                  field(proof, "generation"), field(proof, "revision"));
  if (const std::string reason =
          proof.value("reason", json("")).is_string() ? proof.value("reason", "") : "";
      !reason.empty()) {
    out += ": " + reason;
  }
  out += "\n";
  Table workers({"WORKER", "ACKNOWLEDGED", ">AFTER", ">GENERATION", ">REVISION"});
  for (const auto& worker : list(proof, "workers")) {
    const bool acknowledged = worker.value("acknowledged", false);
    const auto after = worker.find("after_us");
    workers.add({field(worker, "worker"), acknowledged ? "yes" : "NO",
                 after != worker.end() && after->is_number() && acknowledged
                     ? fmt::format("{:.0f} us", after->get<double>())
                     : "-",
                 field(worker, "generation"), field(worker, "revision")});
  }
  if (!workers.empty()) out += workers.render(2);
  Table pools({"ROUTE", ">RULE", "POOL", "VERSION", ">WEIGHT", ">SHARE ASKED", ">BEFORE", ">AFTER",
               ">SHARE SERVED", ">STALE", ">ACTIVE", ">LAST DECISION"});
  for (const auto& pool : list(proof, "pools")) {
    const auto served = pool.find("share_after");
    pools.add(
        {field(pool, "route"), field(pool, "rule"), field(pool, "pool"), field(pool, "version"),
         field(pool, "weight"), percent_text(pool.value("share", 0.0)),
         count(pool, "decisions_before"), count(pool, "decisions_after"),
         served != pool.end() && served->is_number() ? percent_text(served->get<double>()) : "-",
         count(pool, "stale_decisions"), count(pool, "active"),
         ago_text(pool.value("last_decision_ago_ms", json()))});
  }
  if (!pools.empty()) out += pools.render(2);
  for (const auto& draining : list(proof, "draining")) {
    out += fmt::format("  draining: {}\n", field(draining, "text"));
  }
  return out;
}

std::string change_view(const json& result) {
  std::string out;
  const bool dry = result.value("dry_run", false);
  const auto& changes = list(result, "changes");
  const bool made = !dry && !result.contains("waits");
  if (changes.empty()) out += dry ? "nothing would change\n" : "nothing changed\n";
  for (const auto& change : changes) out += (made ? "" : "would: ") + text_of(change) + "\n";
  for (const auto& move : list(result, "moved")) {
    out += fmt::format("would move {} of 65,536 slots ({}) of route {} rule {}\n",
                       count(move, "slots_moved"), percent_text(move.value("share", 0.0)),
                       field(move, "route"), field(move, "rule"));
  }
  if (!list(result, "restart_required").empty()) {
    out += fmt::format("restart sluiced for: {}\n", joined(list(result, "restart_required")));
  }
  if (const auto held = result.find("held"); held != result.end() && held->is_array()) {
    out += held_view(*held);
  }
  if (const auto waits = result.find("waits"); waits != result.end() && waits->is_object()) {
    out += waits_view(*waits);
  }
  if (const auto proof = result.find("proof"); proof != result.end() && proof->is_object()) {
    out += proof_view(*proof);
  }
  return out + awaiting_view(result.value("confirm", json()));
}

std::string awaiting_view(const json& confirm) {
  if (!confirm.is_object()) return {};
  return tinted(
      Tint::warning,
      fmt::format("generation {} awaits confirmation: {} left, until {}; else generation {} comes "
                  "back (sluice confirm)\n",
                  field(confirm, "generation"), ago_text(confirm.value("remaining_ms", json())),
                  field(confirm, "until"), field(confirm, "back_to")));
}

std::string confirm_view(const json& result) {
  return fmt::format("generation {} is confirmed, {} before it would have been rolled back\n",
                     field(result, "generation"), ago_text(result.value("remaining_ms", json())));
}

std::string verify_view(const json& result) {
  const json proof = result.value("proof", json::object());
  return proof_view(proof) + deviations_view(proof);
}

std::string history_view(const json& result) {
  Table table({">GENERATION", "TIME", "AUTHOR", "VERB", "PROOF", "REASON", "CHANGES"});
  for (const auto& generation : list(result, "generations")) {
    const auto& changes = list(generation, "changes");
    std::string verb = field(generation, "verb");
    if (const auto confirm = generation.find("confirm");
        confirm != generation.end() && confirm->is_object()) {
      verb += fmt::format(" ({})", field(*confirm, "outcome"));
    }
    std::string summary = changes.empty() ? "-" : text_of(changes.front());
    if (changes.size() > 1) summary += fmt::format(" (+{} more)", changes.size() - 1);
    table.add({field(generation, "generation"), field(generation, "time"),
               field(generation, "author"), verb, field(generation, "verdict"),
               field(generation, "reason"), summary});
  }
  return table.render();
}

std::string flows_view(const json& result) {
  Table table({"WORKER", "PROTOCOL", "STATE", "CLIENT", "VIRTUAL", "SNAT", "BACKEND", "ROUTE",
               "POOL", ">IDLE"});
  for (const auto& flow : list(result, "flows")) {
    table.add({field(flow, "worker"), field(flow, "protocol"), field(flow, "state"),
               field(flow, "client"), field(flow, "virtual"), field(flow, "snat"),
               field(flow, "backend"), field(flow, "route"), field(flow, "pool"),
               ago_text(flow.value("idle_ms", json()))});
  }
  return table.empty() ? "no flows\n" : table.render();
}

std::string explain_view(const json& result) {
  std::string out;
  for (const auto& line : list(result, "reason")) out += text_of(line) + "\n";
  Table table({"LISTENER", "ROUTE", ">RULE", ">SLOT", "POOL", ">MAGLEV SLOT", "BACKEND", "STATE",
               "VERDICT"});
  table.add({field(result, "listener"), field(result, "route"), field(result, "rule"),
             field(result, "slot"), field(result, "pool"), field(result, "maglev_slot"),
             field(result, "backend"), field(result, "state"), field(result, "verdict")});
  return out + table.render();
}

std::string config_text_view(const json& result) { return result.value("text", ""); }

std::string items_view(const json& result) {
  std::string out;
  for (const auto& item : list(result, "items")) {
    out += fmt::format("{}\n", item.value("name", std::string("-")));
    for (const auto& [key, value] : item.items()) {
      if (key == "name" || key == "conditions" || key == "draining") continue;
      if (value.is_array() && !value.empty() && !value.front().is_primitive()) {
        out += fmt::format("  {}:\n", key);
        for (const auto& element : value) out += "    " + element.dump() + "\n";
      } else {
        out += fmt::format("  {}: {}\n", key, value.is_array() ? joined(value) : text_of(value));
      }
    }
    if (item.contains("conditions")) out += conditions_view(json::array({item}));
  }
  return out.empty() ? "none\n" : out;
}

}  // namespace sluice::cli

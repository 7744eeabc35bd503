#include <fmt/format.h>

#include <cmath>

#include "ctrl/cli/table.h"
#include "ctrl/cli/views.h"

namespace sluice::cli {
namespace {

std::string text_at(const json& object, const char* key) {
  const auto at = object.find(key);
  return at == object.end() || !at->is_string() ? "" : at->get<std::string>();
}

uint64_t number_at(const json& object, const char* key) {
  const auto at = object.find(key);
  return at == object.end() || !at->is_number() ? 0 : static_cast<uint64_t>(at->get<double>());
}

bool flag_at(const json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_boolean() && at->get<bool>();
}

json value_at(const json& object, const char* key) {
  const auto at = object.find(key);
  return at == object.end() ? json() : *at;
}

/// "HTTP 200 (1.2 ms, 340 ms ago)"
std::string last_text(const json& backend) {
  const json last = value_at(backend, "last");
  if (!last.is_object()) return "-";
  return fmt::format("{} ({}, {} ago)", text_at(last, "text"),
                     ago_text(value_at(last, "latency_ms")), ago_text(value_at(last, "ago_ms")));
}

/// Why it is not simply up: reason, hold, slow start, suspicion, certificate.
std::string why_text(const json& backend) {
  std::string text;
  const auto append = [&](const std::string& part) { text += (text.empty() ? "" : "; ") + part; };
  if (flag_at(backend, "suspected")) append("suspected");
  if (const auto reason = text_at(backend, "reason"); !reason.empty()) append(reason);
  if (number_at(backend, "hold_ms") > 0) {
    append(fmt::format("held for {} after {} flaps", ago_text(value_at(backend, "hold_ms")),
                       number_at(backend, "flaps")));
  }
  const json percent = value_at(backend, "weight_percent");
  if (percent.is_number() && percent.get<double>() < 100) {
    append(fmt::format("slow start at {} %", percent.get<double>()));
  }
  const json days = value_at(backend, "certificate_days");
  if (days.is_number() && days.get<double>() < 14) {
    append(fmt::format("certificate {} {:.1f} days",
                       days.get<double>() < 0 ? "expired for" : "ends in",
                       std::abs(days.get<double>())));
  }
  return text;
}

std::string in_a_row(const json& backend) {
  if (!backend.contains("up")) return "-";
  const uint64_t failures = number_at(backend, "failures");
  return failures > 0 ? fmt::format("{} failed", grouped(failures))
                      : fmt::format("{} ok", grouped(number_at(backend, "successes")));
}

std::string next_text(const json& backend) {
  if (!backend.contains("up")) return "-";
  const json next = value_at(backend, "next_ms");
  return next.is_number() ? ago_text(next) : "now";
}

std::string pool_view(const json& pool) {
  std::string out =
      fmt::format("{}: {}; {} of {} usable", text_at(pool, "pool"), text_at(pool, "check"),
                  number_at(pool, "usable"), number_at(pool, "total"));
  const std::string policy = text_at(pool, "panic");
  if (!policy.empty() && policy != "none") {
    const std::string words =
        fmt::format("panic \"{}\" below {} %", policy, number_at(pool, "panic_below_percent"));
    out += "; " + (flag_at(pool, "panic_active") ? tinted(Tint::bad, words + " IN FORCE") : words);
  }
  out += "\n";
  Table table({"BACKEND", "STATE", ">SINCE", "IN A ROW", "LAST RESULT", ">NEXT", "WHY"});
  for (const auto& backend : value_at(pool, "backends")) {
    table.add({text_at(backend, "backend"), text_at(backend, "state"),
               ago_text(value_at(backend, "since_ms")), in_a_row(backend), last_text(backend),
               next_text(backend), why_text(backend)});
  }
  return out + (table.empty() ? "" : table.render(2)) + "\n";
}

}  // namespace

std::string health_view(const json& result) {
  std::string out;
  for (const auto& pool : value_at(result, "pools")) out += pool_view(pool);
  if (flag_at(result, "more")) out += "(more: raise --limit)\n\n";
  const json prober = value_at(result, "prober");
  if (number_at(prober, "probed") == 0) return out;
  out += fmt::format(
      "{} probed for {} backends; {} under way, {} in line; {} ok, {} failed, {} left out\n"
      "probes leave late by {} (median), {} (99 %), {} at most\n",
      grouped(number_at(prober, "probed")), grouped(number_at(prober, "backends")),
      grouped(number_at(prober, "under_way")), grouped(number_at(prober, "waiting")),
      grouped(number_at(prober, "succeeded")), grouped(number_at(prober, "failed")),
      grouped(number_at(prober, "skipped")), ago_text(value_at(prober, "late_p50_ms")),
      ago_text(value_at(prober, "late_p99_ms")), ago_text(value_at(prober, "late_max_ms")));
  return out;
}

}  // namespace sluice::cli

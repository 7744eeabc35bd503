#include <fmt/format.h>

#include "ctrl/cli/table.h"
#include "ctrl/cli/views.h"

namespace sluice::cli {
namespace {

json value_at(const json& object, const char* key) {
  const auto at = object.is_object() ? object.find(key) : object.end();
  return at == object.end() ? json() : *at;
}

std::string text_at(const json& object, const char* key) {
  const json value = value_at(object, key);
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? "-" : value.dump();
}

Tint tint_of(const std::string& status) {
  if (status == "true") return Tint::good;
  return status == "false" ? Tint::bad : Tint::warning;
}

}  // namespace

std::string draining_line(const std::string& route, const json& draining) {
  const std::string existing = text_at(draining, "existing");
  std::string end = existing == "keep" ? "kept" : "being reset";
  if (existing == "drain") end = "reset in " + ago_text(value_at(draining, "ends_in_ms"));
  return fmt::format("draining: {}, {} (route {})", text_at(draining, "text"), end, route);
}

std::string conditions_text(const json& conditions) {
  if (!conditions.is_array() || conditions.empty()) return "-";
  for (const json& condition : conditions) {
    const std::string status = text_at(condition, "status");
    if (status == "true") continue;
    return tinted(tint_of(status),
                  fmt::format("{} {}: {}", status == "false" ? "not" : "perhaps",
                              text_at(condition, "type"), text_at(condition, "reason")));
  }
  return tinted(Tint::good, "Ready");
}

std::string conditions_view(const json& routes) {
  // The last column is not padded, so that its colour does not count.
  Table table({"ROUTE", "CONDITION", "STATUS", ">SINCE", ">GENERATION", "REASON", "MESSAGE"});
  std::string draining;
  for (const json& route : routes) {
    for (const json& condition : value_at(route, "conditions")) {
      const std::string status = text_at(condition, "status");
      table.add({text_at(route, "name"), text_at(condition, "type"), status,
                 ago_text(value_at(condition, "since_ms")),
                 text_at(condition, "observed_generation"), text_at(condition, "reason"),
                 tinted(tint_of(status), text_at(condition, "message"))});
    }
    for (const json& each : value_at(route, "draining")) {
      draining += draining_line(text_at(route, "name"), each) + "\n";
    }
  }
  return (table.empty() ? "" : table.render()) + draining;
}

}  // namespace sluice::cli

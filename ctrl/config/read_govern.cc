#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ctrl/config/draft.h"
#include "ctrl/config/text.h"
#include "ctrl/config/values.h"

namespace sluice::ctrl {
namespace {

using namespace std::string_view_literals;

constexpr size_t names_max = 1024;
constexpr size_t text_bytes_max = 255;
constexpr size_t labels_max = 64;
constexpr uint64_t expires_ms_min = 1000, expires_ms_max = 30ull * 86'400'000;
constexpr uint64_t timeout_ms_min = 100, timeout_ms_max = 604'800'000;

constexpr std::array verbs = {"apply"sv,  "weight"sv,   "switch"sv,     "rollback"sv,
                              "drain"sv,  "confirm"sv,  "approve"sv,    "reject"sv,
                              "freeze"sv, "unfreeze"sv, "break-glass"sv};

std::set<std::string> verbs_of(std::string_view kind) {
  if (kind == "admin") return {std::string(every_verb)};
  if (kind == "approver") return {"approve", "reject"};
  if (kind != "operator") return {};
  return {"weight", "switch", "rollback", "drain", "confirm", "break-glass"};
}

std::vector<std::string> read_texts(const std::optional<Value>& value, std::string_view items_name,
                                    std::vector<std::string> otherwise) {
  if (!value) return otherwise;
  std::vector<std::string> texts;
  const auto items = value->items(items_name, 1, names_max);
  for (const Value& item : items.value_or(std::vector<Value>{})) {
    if (auto text = item.text(text_bytes_max)) texts.push_back(std::move(*text));
  }
  return texts;
}

std::set<std::string> read_verbs(const Value& value) {
  std::set<std::string> chosen;
  const auto items = value.items("verbs", 1, verbs.size());
  for (const Value& item : items.value_or(std::vector<Value>{})) {
    if (const auto index = item.choice(verbs)) chosen.emplace(verbs[*index]);
  }
  return chosen;
}

std::string read_name_into(TableReader& table, MaybeValue& place) {
  auto name = table.required("name");
  auto text = name ? read_name(*name) : std::nullopt;
  if (text) place = std::move(name);
  return text.value_or("");
}

std::optional<uint64_t> read_time(const std::optional<Value>& value) {
  if (!value) return std::nullopt;
  const auto kind = value->node().kind;
  const bool has_text = kind == DocumentNode::Kind::string || kind == DocumentNode::Kind::date_time;
  const auto time = has_text ? parse_time_unix_ms(value->node().text) : std::nullopt;
  if (!time) value->reject_found("a time with its zone, such as 2026-11-27T00:00:00Z");
  return time;
}

void read_timeout_rule(const Value& value, TimeoutRule& rule) {
  TableReader table(value);
  if (const auto fallback = table.optional("default")) {
    rule.default_ms = fallback->duration_ms(timeout_ms_min, timeout_ms_max);
  }
  if (const auto max = table.optional("max")) {
    rule.max_ms = max->duration_ms(timeout_ms_min, timeout_ms_max);
    if (rule.default_ms && rule.max_ms && *rule.default_ms > *rule.max_ms) {
      max->reject("must not be less than the default");
    }
  }
  table.finish();
}

void read_public_addresses(const Value& value, PolicyConfig& policy) {
  policy.public_addresses.emplace();
  const auto items = value.items("networks", 0, names_max);
  for (const Value& item : items.value_or(std::vector<Value>{})) {
    if (const auto network = read_network(item)) policy.public_addresses->push_back(*network);
  }
}

}  // namespace

void read_labels(const std::optional<Value>& value, LabelMap& labels) {
  if (!value) return;
  if (!value->is_table() || value->node().entries.size() > labels_max) {
    value->reject_found(fmt::format("a table of at most {} labels", labels_max));
    return;
  }
  for (const Entry& entry : value->node().entries) {
    const Value label(entry.value, value->key() + "." + printable(entry.key), value->mistakes());
    if (auto text = label.text(text_bytes_max)) labels[entry.key] = std::move(*text);
  }
}

void read_role(const Value& value, Draft& draft) {
  static constexpr std::array kinds = {"viewer"sv, "operator"sv, "approver"sv, "admin"sv};
  TableReader table(value);
  RoleConfig role;
  GovernPlaces::Named place{.self = value};
  role.name = read_name_into(table, place.name);
  const auto kind = table.required("kind");
  if (const auto index = kind ? kind->choice(kinds) : std::nullopt) role.kind = kinds[*index];
  role.users = read_texts(table.optional("users"), "users", {});
  role.groups = read_texts(table.optional("groups"), "groups", {});
  role.routes = read_texts(table.optional("routes"), "patterns of routes", {"*"});
  role.verbs = verbs_of(role.kind);
  if (const auto listed = table.optional("verbs")) {
    if (role.kind == "admin" || role.kind == "viewer") {
      listed->reject(fmt::format("a role of kind {} has no list of verbs", in_quotes(role.kind)));
    } else {
      role.verbs = read_verbs(*listed);
    }
  }
  if (role.users.empty() && role.groups.empty() && table.is_table()) {
    value.reject("names nobody: give `users` or `groups`");
  }
  table.finish();
  draft.config.govern.roles.push_back(std::move(role));
  draft.govern.roles.push_back(std::move(place));
}

void read_freeze(const Value& value, Draft& draft) {
  TableReader table(value);
  FreezeConfig freeze;
  GovernPlaces::Named place{.self = value};
  freeze.name = read_name_into(table, place.name);
  freeze.from_unix_ms = read_time(table.required("from")).value_or(0);
  const auto until = table.required("until");
  const auto until_unix_ms = read_time(until);
  freeze.until_unix_ms = until_unix_ms.value_or(0);
  if (until_unix_ms && freeze.until_unix_ms <= freeze.from_unix_ms) {
    until->reject("must be later than `from`");
  }
  freeze.routes = read_texts(table.optional("routes"), "patterns of routes", {"*"});
  if (const auto reason = table.optional("reason")) {
    freeze.reason = reason->text(text_bytes_max).value_or("");
  }
  table.finish();
  draft.config.govern.freezes.push_back(std::move(freeze));
  draft.govern.freezes.push_back(std::move(place));
}

void read_policy(const Value& value, Draft& draft) {
  TableReader table(value);
  PolicyConfig policy;
  GovernPlaces::Named place{.self = value};
  policy.name = read_name_into(table, place.name);
  policy.routes = read_texts(table.optional("routes"), "patterns of routes", {"*"});
  policy.required_labels = read_texts(table.optional("required_labels"), "labels", {});
  if (const auto addresses = table.optional("public_addresses")) {
    read_public_addresses(*addresses, policy);
  }
  if (const auto step = table.optional("weight_step_max")) {
    if (const auto points = step->integer(1, 100)) policy.weight_step_max = uint32_t(*points);
  }
  if (const auto timeouts = table.optional("timeouts")) {
    TableReader rules(*timeouts);
    for (const std::string_view key : timeout_keys) {
      if (const auto rule = rules.optional(key)) {
        read_timeout_rule(*rule, policy.timeouts[std::string(key)]);
      }
    }
    rules.finish();
  }
  table.finish();
  draft.config.govern.policies.push_back(std::move(policy));
  draft.govern.policies.push_back(std::move(place));
}

void read_approval(const Value& value, GovernConfig& govern) {
  TableReader table(value);
  if (const auto expires = table.optional("expires")) {
    govern.approval_expires_ms =
        expires->duration_ms(expires_ms_min, expires_ms_max).value_or(govern.approval_expires_ms);
  }
  table.finish();
}

}  // namespace sluice::ctrl

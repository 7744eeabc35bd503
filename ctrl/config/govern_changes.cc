#include "ctrl/config/govern_changes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ctrl/config/duration.h"

namespace sluice::ctrl {
namespace {

std::string words(const RoleConfig& role) {
  return fmt::format(
      "{} of {} for users [{}] groups [{}]: {}", role.kind, fmt::join(role.routes, ", "),
      fmt::join(role.users, ", "), fmt::join(role.groups, ", "),
      role.verbs.empty() ? "reading" : fmt::format("{}", fmt::join(role.verbs, ", ")));
}

std::string words(const FreezeConfig& freeze) {
  return fmt::format("{} from {} until {}{}", fmt::join(freeze.routes, ", "),
                     format_time(freeze.from_unix_ms), format_time(freeze.until_unix_ms),
                     freeze.reason.empty() ? "" : ": " + freeze.reason);
}

std::string words(const PolicyConfig& policy) {
  std::string text = fmt::format("{}", fmt::join(policy.routes, ", "));
  if (!policy.required_labels.empty()) {
    text += fmt::format("; labels {}", fmt::join(policy.required_labels, ", "));
  }
  if (policy.public_addresses) {
    std::vector<std::string> networks;
    for (const Prefix& network : *policy.public_addresses) networks.push_back(to_string(network));
    text += fmt::format("; public addresses [{}]", fmt::join(networks, ", "));
  }
  if (policy.weight_step_max) text += fmt::format("; weight step {} %", *policy.weight_step_max);
  for (const auto& [key, rule] : policy.timeouts) {
    text += "; " + key;
    if (rule.default_ms) text += " default " + format_duration_ms(*rule.default_ms);
    if (rule.max_ms) text += " at most " + format_duration_ms(*rule.max_ms);
  }
  return text;
}

template <typename Items>
void differences(std::string_view kind, const Items& before, const Items& after,
                 std::vector<std::string>& lines) {
  const auto named = [](const Items& items, const std::string& name) {
    return std::ranges::find_if(items, [&](const auto& item) { return item.name == name; });
  };
  for (const auto& item : before) {
    if (named(after, item.name) == after.end()) {
      lines.push_back(fmt::format("{} {} removed ({})", kind, item.name, words(item)));
    }
  }
  for (const auto& item : after) {
    const auto old_item = named(before, item.name);
    if (old_item == before.end()) {
      lines.push_back(fmt::format("{} {} added ({})", kind, item.name, words(item)));
    } else if (*old_item != item) {
      lines.push_back(
          fmt::format("{} {}: {} -> {}", kind, item.name, words(*old_item), words(item)));
    }
  }
}

}  // namespace

void describe_govern_changes(const GovernConfig& before, const GovernConfig& after,
                             std::vector<std::string>& lines) {
  differences("role", before.roles, after.roles, lines);
  differences("freeze", before.freezes, after.freezes, lines);
  differences("policy", before.policies, after.policies, lines);
  if (before.approval_expires_ms != after.approval_expires_ms) {
    lines.push_back(fmt::format("approval: expires {} -> {}",
                                format_duration_ms(before.approval_expires_ms),
                                format_duration_ms(after.approval_expires_ms)));
  }
}

std::string labels_text(const LabelMap& labels) {
  std::vector<std::string> pairs;
  for (const auto& [key, value] : labels) pairs.push_back(fmt::format("{} = {}", key, value));
  return fmt::format("[{}]", fmt::join(pairs, ", "));
}

}  // namespace sluice::ctrl

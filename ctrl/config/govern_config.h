// The part of a configuration that says who may change what, when and how far. Values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/address.h"

namespace sluice::ctrl {

using LabelMap = std::map<std::string, std::string>;

/// What a role may do; "*" is everything, node-wide changes too.
inline constexpr std::string_view every_verb = "*";

struct RoleConfig {
  std::string name;
  std::string kind;                // viewer, operator, approver, admin
  std::vector<std::string> users;  // login names or numbers
  std::vector<std::string> groups;
  std::vector<std::string> routes;  // patterns, "web-*"
  std::set<std::string> verbs;
  bool operator==(const RoleConfig&) const = default;
};

/// No change but rollback while it lasts.
struct FreezeConfig {
  std::string name;
  uint64_t from_unix_ms = 0;
  uint64_t until_unix_ms = 0;
  std::vector<std::string> routes;  // patterns
  std::string reason;
  bool operator==(const FreezeConfig&) const = default;
};

struct TimeoutRule {
  std::optional<uint64_t> default_ms;  // where the file does not say
  std::optional<uint64_t> max_ms;
  bool operator==(const TimeoutRule&) const = default;
};

/// A rule that every file, and every change, must keep.
struct PolicyConfig {
  std::string name;
  std::vector<std::string> routes;  // patterns: what it is about; timeouts are the node's
  std::vector<std::string> required_labels;
  std::optional<std::vector<Prefix>> public_addresses;  // public listeners only within these
  std::map<std::string, TimeoutRule> timeouts;
  std::optional<uint32_t> weight_step_max;  // percentage points that a pool's share may gain
  bool operator==(const PolicyConfig&) const = default;
};

struct GovernConfig {
  std::vector<RoleConfig> roles;
  std::vector<FreezeConfig> freezes;
  std::vector<PolicyConfig> policies;
  uint64_t approval_expires_ms = 3'600'000;
  bool operator==(const GovernConfig&) const = default;
};

/// Whether `name` fits `pattern`, in which each "*" stands for any characters.
bool fits_pattern(std::string_view name, std::string_view pattern);
bool fits_any(std::string_view name, const std::vector<std::string>& patterns);

/// Reachable from outside by its number: in none of RFC 1918, 4193, 6598 (shared), loopback and
/// link-local.
bool is_public(const IpAddress& address);

/// Milliseconds since 1970 of an RFC 3339 time; nothing when it is none. "2026-11-27T00:00:00Z",
/// "2026-11-27T01:00:00.5+01:00"; a date alone is its first moment in UTC.
std::optional<uint64_t> parse_time_unix_ms(std::string_view text);
/// "2026-11-27T00:00:00Z".
std::string format_time(uint64_t unix_ms);

}  // namespace sluice::ctrl

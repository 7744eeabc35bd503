#include "ctrl/govern/access.h"

#include <fmt/format.h>
#include <grp.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace sluice::ctrl {
namespace {

std::optional<uint32_t> as_number(const std::string& text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<uint32_t> group_number(const std::string& name) {
  if (const auto number = as_number(name)) return number;
  std::vector<char> space(64 * 1024);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, space.data(), space.size(), &found) != 0) {
    return std::nullopt;
  }
  return found == nullptr ? std::nullopt : std::optional<uint32_t>(found->gr_gid);
}

bool is_user(const Person& person, const std::string& user) {
  const auto number = as_number(user);
  return number ? *number == person.uid : user == person.user;
}

bool holds(const RoleConfig& role, const Person& person) {
  if (std::ranges::any_of(role.users,
                          [&](const std::string& user) { return is_user(person, user); })) {
    return true;
  }
  return std::ranges::any_of(role.groups, [&](const std::string& name) {
    const auto gid = group_number(name);
    return gid && std::ranges::find(person.gids, *gid) != person.gids.end();
  });
}

bool has_verb(const RoleConfig& role, std::string_view verb) {
  return role.verbs.contains(std::string(every_verb)) || role.verbs.contains(std::string(verb));
}

bool everywhere(const RoleConfig& role) {
  return std::ranges::find(role.routes, std::string(every_verb)) != role.routes.end();
}

}  // namespace

bool Access::owns_all(const Person& person) const {
  return person.uid == 0 || person.uid == own_uid_;
}

std::vector<const RoleConfig*> Access::of(const Person& person) const {
  std::vector<const RoleConfig*> roles;
  for (const RoleConfig& role : govern_.roles) {
    if (holds(role, person)) roles.push_back(&role);
  }
  return roles;
}

std::string Access::roles_of(const Person& person) const {
  if (person.internal) return "sluiced";
  if (owns_all(person)) return "admin";
  std::string names;
  for (const RoleConfig* role : of(person)) names += (names.empty() ? "" : ", ") + role->name;
  return names.empty() ? "viewer" : names;
}

AccessAnswer Access::may(const Person& person, std::string_view verb,
                         const Touched& touched) const {
  AccessAnswer answer{.allowed = true, .role = roles_of(person), .why = {}};
  if (person.internal || owns_all(person)) return answer;
  std::vector<const RoleConfig*> roles = of(person);
  std::erase_if(roles, [&](const RoleConfig* role) { return !has_verb(*role, verb); });
  const auto any = [&](auto fits) { return std::ranges::any_of(roles, fits); };
  const auto refuse = [&](std::string why) {
    answer.allowed = false;
    answer.why = std::move(why);
    return answer;
  };
  const std::string who = fmt::format("user {} ({})", person.user, answer.role);
  if (roles.empty()) return refuse(fmt::format("{} may not {}: no role allows it", who, verb));
  for (const std::string& route : touched.routes) {
    if (any([&](const RoleConfig* role) { return fits_any(route, role->routes); })) continue;
    return refuse(
        fmt::format("{} may not {} route {}: no role for it owns that route", who, verb, route));
  }
  if (!touched.unused.empty() && !any([](const RoleConfig* role) { return everywhere(*role); })) {
    return refuse(fmt::format("{} may not {} {}: it belongs to no route of theirs", who, verb,
                              *touched.unused.begin()));
  }
  const auto is_admin = [](const RoleConfig* role) {
    return role->verbs.contains(std::string(every_verb)) && everywhere(*role);
  };
  if (touched.node_wide && !any(is_admin)) {
    return refuse(
        fmt::format("{} may not {} what belongs to the whole node (timeouts, roles, "
                    "policies): that takes an admin",
                    who, verb));
  }
  return answer;
}

}  // namespace sluice::ctrl

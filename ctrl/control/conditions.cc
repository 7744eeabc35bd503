#include "ctrl/control/conditions.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace sluice::ctrl {
namespace {

std::string plural(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string_view name_of(Family family) { return family == Family::v4 ? "IPv4" : "IPv6"; }

Condition no(std::string reason, std::string message) {
  return {ConditionStatus::no, std::move(reason), std::move(message)};
}

Condition programmed(const ServedFacts& served, const RouteFacts& route) {
  for (size_t i = 0; i < served.workers.size(); i++) {
    const WorkerFacts& worker = served.workers[i];
    if (worker.revision >= served.revision) continue;
    return no(
        "WorkerNotAcknowledged",
        fmt::format("worker {} serves generation {} (revision {}), published is generation "
                    "{} (revision {})",
                    i, worker.generation, worker.revision, served.generation, served.revision));
  }
  if (!route.published) {
    return no("NotPublished", fmt::format("the published tables have no route {}", route.name));
  }
  for (const RuleFacts& rule : route.rules) {
    for (const PoolFacts& pool : rule.pools) {
      if (pool.slots == pool.slots_asked) continue;
      return no("TableDiffers",
                fmt::format("the published table gives pool {} {}, its weight asks for {}",
                            pool.pool, plural(pool.slots, "slot"), pool.slots_asked));
    }
  }
  return {ConditionStatus::yes, "WorkersAcknowledged",
          fmt::format("{} of {} serve generation {} (revision {})", served.workers.size(),
                      plural(served.workers.size(), "worker"), served.generation, served.revision)};
}

/// "2 down, 1 unresolved"
std::string makeup(const FamilyFacts& facts) {
  std::string text;
  const auto add = [&](uint32_t count, std::string_view what) {
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
  };
  add(facts.usable, "up but not in use");
  add(facts.down, "down");
  add(facts.unresolved, "unresolved");
  add(facts.drained, "drained");
  return text.empty() ? "it has none" : text;
}

/// Why new connections of one family do not find a usable backend in `pool`; none: they do.
std::optional<Condition> fault_of(const PoolFacts& pool, const FamilyFacts& facts, size_t rule) {
  const std::string where =
      fmt::format("pool {} (weight {}, rule {})", pool.pool, pool.weight, rule);
  if (facts.panic_fail) {
    return no("PanicFail", fmt::format("{} is in panic and refuses {} connections: {} usable, {}",
                                       where, name_of(facts.family), facts.usable, makeup(facts)));
  }
  if (facts.serving == 0) {
    const bool only_unresolved = facts.unresolved > 0 && facts.down == 0 && facts.usable == 0;
    std::string message =
        fmt::format("{} has no usable {} backend: {}", where, name_of(facts.family), makeup(facts));
    if (facts.spread > 0) message += fmt::format("; panic spreads over {} of them", facts.spread);
    return no(only_unresolved ? "BackendsUnresolved" : "NoUsableBackend", std::move(message));
  }
  if (facts.untold == facts.serving) {
    return Condition{ConditionStatus::unknown, "ChecksPending",
                     fmt::format("{}: no health check of its {} backends has ended yet", where,
                                 name_of(facts.family))};
  }
  return std::nullopt;
}

/// A rule that gives new connections to nobody.
std::optional<Condition> fault_of(const RuleFacts& rule, size_t index) {
  if (std::ranges::any_of(rule.pools, &PoolFacts::open)) return std::nullopt;
  const bool weightless = std::ranges::all_of(
      rule.pools, [](uint32_t weight) { return weight == 0; }, &PoolFacts::weight);
  if (weightless) {
    return no("NoWeight", fmt::format("no pool of rule {} has weight", index));
  }
  return no("PoolsDrained", fmt::format("every pool of rule {} with weight is drained", index));
}

/// False comes before unknown, whatever the order of the rules; more than one is counted.
Condition worst_of(const std::vector<Condition>& faults) {
  const auto certain = std::ranges::find(faults, ConditionStatus::no, &Condition::status);
  Condition worst = certain == faults.end() ? faults.front() : *certain;
  if (faults.size() > 1) worst.message += fmt::format(" (+{} more)", faults.size() - 1);
  return worst;
}

std::optional<Condition> decisions_fault(const RouteFacts& route) {
  for (const RuleFacts& rule : route.rules) {
    for (const PoolFacts& pool : rule.pools) {
      if (pool.stale == 0) continue;
      return no("StaleDecisions", fmt::format("pool {} got {} by a table that gives it none",
                                              pool.pool, plural(pool.stale, "connection")));
    }
  }
  if (route.refuted.empty()) return std::nullopt;
  return no("NotProved", route.refuted);
}

Condition usable_condition(const RouteFacts& route) {
  uint32_t serving = 0, spread = 0, pools = 0;
  std::vector<Condition> faults;
  for (size_t i = 0; i < route.rules.size(); i++) {
    if (auto fault = fault_of(route.rules[i], i)) faults.push_back(std::move(*fault));
    for (const PoolFacts& pool : route.rules[i].pools) {
      if (!pool.open) continue;
      ++pools;
      for (const FamilyFacts& facts : pool.families) {
        serving += facts.serving;
        spread += facts.spread;
        if (auto fault = fault_of(pool, facts, i)) faults.push_back(std::move(*fault));
      }
    }
  }
  if (!faults.empty()) return worst_of(faults);
  std::string message = fmt::format("{} in {} take new connections", plural(serving, "backend"),
                                    plural(pools, "pool"));
  if (spread == 0) return {ConditionStatus::yes, "BackendsUsable", std::move(message)};
  message += fmt::format(", and by panic {} more that are down", spread);
  return {ConditionStatus::yes, "PanicSpread", std::move(message)};
}

}  // namespace

std::string_view to_string(ConditionType type) {
  return type == ConditionType::programmed ? "Programmed" : "Ready";
}

std::string_view to_string(ConditionStatus status) {
  switch (status) {
    case ConditionStatus::no:
      return "false";
    case ConditionStatus::yes:
      return "true";
    case ConditionStatus::unknown:
      return "unknown";
  }
  return "unknown";
}

Conditions conditions_of(const ServedFacts& served, const RouteFacts& route) {
  Condition first = programmed(served, route);
  if (first.status != ConditionStatus::yes) {
    Condition second = no("NotProgrammed", "it is not Programmed: " + first.message);
    return {std::move(first), std::move(second)};
  }
  if (auto fault = decisions_fault(route)) return {std::move(first), std::move(*fault)};
  return {std::move(first), usable_condition(route)};
}

}  // namespace sluice::ctrl

// Conditions: what is true of a route, as Gateway API users know it, judged from facts.
//
//   Programmed  every worker serves the newest tables, and they are what was asked for
//   Ready       Programmed, no decision is made by an older table, and new connections find a
//               usable backend in every pool that has weight
//
// Ready is never true while Programmed is not. Pure: no engine, no clock; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/address.h"

namespace sluice::ctrl {

enum class ConditionType : uint8_t { programmed, ready };
enum class ConditionStatus : uint8_t { no, yes, unknown };
std::string_view to_string(ConditionType type);      // "Programmed", "Ready"
std::string_view to_string(ConditionStatus status);  // "true", "false", "unknown"

inline constexpr std::array condition_types = {ConditionType::programmed, ConditionType::ready};

struct Condition {
  ConditionStatus status = ConditionStatus::unknown;
  std::string reason;   // one CamelCase word for programs
  std::string message;  // one sentence for people
  bool operator==(const Condition&) const = default;
};

/// In the order of ConditionType.
using Conditions = std::array<Condition, condition_types.size()>;

/// Backends of a pool in one address family that the route's listeners bring.
struct FamilyFacts {
  Family family = Family::v4;
  uint32_t serving = 0;     // in the table and usable: new connections go there
  uint32_t untold = 0;      // of these: their first check has not ended
  uint32_t usable = 0;      // up or unchecked, in any tier
  uint32_t down = 0;        // by their health check
  uint32_t unresolved = 0;  // no next hop
  uint32_t drained = 0;
  uint32_t spread = 0;      // in the table although down (panic = "spread")
  bool panic_fail = false;  // panic = "fail" keeps new connections away
};

struct PoolFacts {
  std::string pool;
  uint32_t weight = 0;
  bool open = false;         // weight, and not wholly drained by an operator
  uint32_t slots = 0;        // counted in the published table
  uint32_t slots_asked = 0;  // computed from the weights
  uint64_t stale = 0;        // decisions by a table that gives it none
  std::vector<FamilyFacts> families;
};

struct RuleFacts {
  std::vector<PoolFacts> pools;
};

struct RouteFacts {
  std::string name;
  bool published = false;  // the published tables have it
  std::vector<RuleFacts> rules;
  std::string refuted;  // why the proof of the served generation is not-proved; empty: it is not
};

struct WorkerFacts {
  uint64_t generation = 0;
  uint64_t revision = 0;
};

/// What is published, and what the workers have acknowledged.
struct ServedFacts {
  uint64_t generation = 0;
  uint64_t revision = 0;
  std::vector<WorkerFacts> workers;
};

Conditions conditions_of(const ServedFacts& served, const RouteFacts& route);

}  // namespace sluice::ctrl

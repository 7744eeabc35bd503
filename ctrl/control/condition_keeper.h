// ConditionKeeper: the conditions of every route, since when they are so, and an event for
// watchers whenever one changes. ctrl thread only.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ctrl/control/conditions.h"
#include "ctrl/control/event_hub.h"
#include "ctrl/control/route_facts.h"
#include "ctrl/runtime/event_loop.h"

namespace sluice::ctrl {

class Controller;

/// Of one route.
struct RouteState {
  Conditions conditions;
  std::array<uint64_t, condition_types.size()> since_ns{};  // CLOCK_MONOTONIC: of the status
  std::array<std::string, condition_types.size()> since;    // wall time
};

class ConditionKeeper {
 public:
  /// All of it outlives the keeper.
  ConditionKeeper(const Controller& controller, EventLoop& loop, EventHub& events);
  ~ConditionKeeper();

  /// New tables were published: looks again soon, when the workers have had their chance.
  void published();
  /// The record of a change's proof whenever its verdict is kept.
  void proof_saved(const Json& proof);
  /// The same of an earlier life: to be told, but it says nothing about these workers.
  void proof_kept(const Json& proof);
  /// Looks now. Emits `condition` events; cheap while nothing is published.
  void refresh();

  /// As they are at this moment, by route; refreshes.
  const std::map<std::string, RouteState>& states();
  /// [{type, status, reason, message, since, since_ms, observed_generation}, ...]; null for a
  /// route that is not configured.
  Json json(const std::string& route);
  /// {generation, verb, verdict, reason} of the proof of the served generation; null: none.
  Json newest_proof() const;

 private:
  void take(const RouteFacts& facts, const Conditions& now);
  bool checks_pending() const;

  const Controller& controller_;
  EventLoop& loop_;
  EventHub& events_;
  SlotCounts counts_;
  std::vector<RouteFacts> facts_;
  bool stale_facts_ = true;
  std::map<std::string, RouteState> states_;
  Json proof_ = nullptr;           // the last one saved
  std::set<std::string> refuted_;  // routes that it is about, when it is not-proved
  OperationId timer_ = 0;
};

}  // namespace sluice::ctrl

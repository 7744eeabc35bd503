#include "ctrl/control/condition_keeper.h"

#include <algorithm>
#include <chrono>

#include "ctrl/control/controller.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;

// A condition that lasts no longer is not told to watchers: every publish would make two.
constexpr std::chrono::nanoseconds settle_time = 200ms;

Json proof_summary(const Json& proof) {
  return {{"generation", proof["generation"]},
          {"verb", proof["verb"]},
          {"verdict", proof["verdict"]},
          {"reason", proof["reason"]}};
}

}  // namespace

ConditionKeeper::ConditionKeeper(const Controller& controller, EventLoop& loop, EventHub& events)
    : controller_(controller), loop_(loop), events_(events) {}

ConditionKeeper::~ConditionKeeper() { loop_.cancel(timer_); }

void ConditionKeeper::published() {
  stale_facts_ = true;
  if (timer_ != 0) return;
  timer_ = loop_.after(settle_time, [this](int) {
    timer_ = 0;
    refresh();
  });
}

void ConditionKeeper::proof_saved(const Json& proof) {
  proof_ = proof_summary(proof);
  refuted_.clear();
  if (proof["verdict"] != to_string(ProofVerdict::not_proved)) return;
  for (const Json& pool : proof["pools"]) refuted_.insert(pool["route"].get<std::string>());
}

void ConditionKeeper::proof_kept(const Json& proof) {
  if (proof.is_object() && proof.contains("verdict")) proof_ = proof_summary(proof);
}

bool ConditionKeeper::checks_pending() const {
  return std::ranges::any_of(facts_, [](const RouteFacts& route) {
    return std::ranges::any_of(route.rules, [](const RuleFacts& rule) {
      return std::ranges::any_of(rule.pools, [](const PoolFacts& pool) {
        return std::ranges::any_of(pool.families, [](const auto& each) { return each.untold > 0; });
      });
    });
  });
}

void ConditionKeeper::refresh() {
  // The first result of a check changes no table.
  if (stale_facts_ || checks_pending()) facts_ = gather_routes(controller_, counts_);
  stale_facts_ = false;
  update_stale(controller_, facts_);
  const bool refuted = proof_.is_object() && proof_["generation"] == controller_.generation();
  const ServedFacts served = gather_served(controller_);
  std::set<std::string> names;
  for (RouteFacts& route : facts_) {
    const bool doubted = refuted && refuted_.contains(route.name);
    route.refuted = doubted ? proof_["reason"].get<std::string>() : "";
    names.insert(route.name);
    take(route, conditions_of(served, route));
  }
  std::erase_if(states_, [&](const auto& state) { return !names.contains(state.first); });
}

void ConditionKeeper::take(const RouteFacts& facts, const Conditions& now) {
  const auto [at, fresh] = states_.try_emplace(facts.name);
  RouteState& state = at->second;
  for (size_t i = 0; i < now.size(); i++) {
    Condition& was = state.conditions[i];
    const bool changed = fresh || was.status != now[i].status;
    const bool told = changed || was.reason != now[i].reason;
    was = now[i];
    if (changed) {
      state.since_ns[i] = controller_.now_ns();
      state.since[i] = wall_time_now();
    }
    if (!told) continue;
    events_.emit("condition", {{"route", facts.name},
                               {"condition", to_string(condition_types[i])},
                               {"status", to_string(now[i].status)},
                               {"reason", now[i].reason},
                               {"message", now[i].message},
                               {"since", state.since[i]},
                               {"observed_generation", controller_.generation()}});
    if (fresh && now[i].status == ConditionStatus::yes) continue;
    log(now[i].status == ConditionStatus::yes ? LogLevel::info : LogLevel::warn, "control",
        "condition",
        {{"route", facts.name},
         {"condition", to_string(condition_types[i])},
         {"status", to_string(now[i].status)},
         {"reason", now[i].reason},
         {"message", now[i].message}});
  }
}

const std::map<std::string, RouteState>& ConditionKeeper::states() {
  refresh();
  return states_;
}

Json ConditionKeeper::json(const std::string& route) {
  const auto at = states_.find(route);
  if (at == states_.end()) return nullptr;
  Json conditions = Json::array();
  for (size_t i = 0; i < condition_types.size(); i++) {
    const Condition& condition = at->second.conditions[i];
    const uint64_t now_ns = controller_.now_ns(), since_ns = at->second.since_ns[i];
    conditions.push_back({{"type", to_string(condition_types[i])},
                          {"status", to_string(condition.status)},
                          {"reason", condition.reason},
                          {"message", condition.message},
                          {"since", at->second.since[i]},
                          {"since_ms", now_ns > since_ns ? (now_ns - since_ns) / 1'000'000 : 0},
                          {"observed_generation", controller_.generation()}});
  }
  return conditions;
}

Json ConditionKeeper::newest_proof() const {
  const uint64_t generation = controller_.generation();
  if (const auto open = controller_.proofs().current(generation)) return proof_summary(open->json);
  if (proof_.is_object() && proof_["generation"] == generation) return proof_;
  return nullptr;
}

}  // namespace sluice::ctrl

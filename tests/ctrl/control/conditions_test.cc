// Conditions of routes, from made-up facts.
#include "ctrl/control/conditions.h"

#include <gtest/gtest.h>

namespace sluice::ctrl {
namespace {

constexpr auto programmed = static_cast<size_t>(ConditionType::programmed);
constexpr auto ready = static_cast<size_t>(ConditionType::ready);

ServedFacts served() { return {.generation = 7, .revision = 12, .workers = {{7, 12}, {7, 12}}}; }

FamilyFacts up(uint32_t backends, Family family = Family::v4) {
  FamilyFacts facts;
  facts.family = family;
  facts.serving = facts.usable = backends;
  return facts;
}

PoolFacts pool(const std::string& name, uint32_t weight, std::vector<FamilyFacts> families) {
  const uint32_t slots = weight * 655;
  return {.pool = name,
          .weight = weight,
          .open = weight > 0,
          .slots = slots,
          .slots_asked = slots,
          .stale = 0,
          .families = std::move(families)};
}

/// 95 % to two backends, 5 % to one.
RouteFacts canary() {
  RouteFacts route;
  route.name = "web";
  route.published = true;
  route.rules.push_back({.pools = {pool("web-v1", 95, {up(2)}), pool("web-v2", 5, {up(1)})}});
  return route;
}

PoolFacts& second(RouteFacts& route) { return route.rules[0].pools[1]; }

Condition ready_of(const RouteFacts& route) { return conditions_of(served(), route)[ready]; }

Condition no(const std::string& reason, const std::string& message) {
  return {ConditionStatus::no, reason, message};
}

TEST(Conditions, AllIsWell) {
  const Conditions found = conditions_of(served(), canary());
  EXPECT_EQ(found[programmed], (Condition{ConditionStatus::yes, "WorkersAcknowledged",
                                          "2 of 2 workers serve generation 7 (revision 12)"}));
  EXPECT_EQ(found[ready], (Condition{ConditionStatus::yes, "BackendsUsable",
                                     "3 backends in 2 pools take new connections"}));
}

TEST(Conditions, AWorkerThatHasNotAcknowledgedUnprograms) {
  ServedFacts behind = served();
  behind.workers[1] = {6, 11};
  const Conditions found = conditions_of(behind, canary());
  EXPECT_EQ(found[programmed], no("WorkerNotAcknowledged",
                                  "worker 1 serves generation 6 (revision 11), published is "
                                  "generation 7 (revision 12)"));
  EXPECT_EQ(found[ready].status, ConditionStatus::no);
  EXPECT_EQ(found[ready].reason, "NotProgrammed");
}

TEST(Conditions, APublishOfTheSameGenerationCountsToo) {
  ServedFacts behind = served();
  behind.workers[0] = {7, 11};  // it does not know yet that a backend died
  EXPECT_EQ(conditions_of(behind, canary())[programmed].status, ConditionStatus::no);
}

TEST(Conditions, ATableThatIsNotWhatWasAskedUnprograms) {
  RouteFacts route = canary();
  second(route).slots = 1;
  EXPECT_EQ(
      conditions_of(served(), route)[programmed],
      no("TableDiffers", "the published table gives pool web-v2 1 slot, its weight asks for 3275"));
  route = canary();
  route.published = false;
  EXPECT_EQ(conditions_of(served(), route)[programmed].reason, "NotPublished");
}

TEST(Conditions, AWeightedPoolWithoutAUsableBackendUnreadies) {
  RouteFacts route = canary();
  second(route).families[0] = {.family = Family::v4, .down = 1, .drained = 1};
  EXPECT_EQ(ready_of(route),
            no("NoUsableBackend",
               "pool web-v2 (weight 5, rule 0) has no usable IPv4 backend: 1 down, 1 drained"));
  // The same pool at weight 0 harms nobody.
  second(route) = pool("web-v2", 0, {{.family = Family::v4, .down = 1}});
  EXPECT_EQ(ready_of(route).status, ConditionStatus::yes);
}

TEST(Conditions, EachFamilyOfTheListenersNeedsABackend) {
  RouteFacts route = canary();
  second(route).families = {up(1), {.family = Family::v6, .down = 2}};
  EXPECT_EQ(ready_of(route).message,
            "pool web-v2 (weight 5, rule 0) has no usable IPv6 backend: 2 down");
  second(route).families[1] = {.family = Family::v6};
  EXPECT_EQ(ready_of(route).message,
            "pool web-v2 (weight 5, rule 0) has no usable IPv6 backend: it has none");
}

TEST(Conditions, UnresolvedBackendsAreNamedAsSuch) {
  RouteFacts route = canary();
  second(route).families[0] = {.family = Family::v4, .unresolved = 2};
  EXPECT_EQ(ready_of(route).reason, "BackendsUnresolved");
  second(route).families[0].down = 1;
  EXPECT_EQ(ready_of(route).reason, "NoUsableBackend");
}

TEST(Conditions, NothingIsKnownBeforeTheFirstCheckHasEnded) {
  RouteFacts route = canary();
  second(route).families[0].untold = 1;
  EXPECT_EQ(ready_of(route),
            (Condition{ConditionStatus::unknown, "ChecksPending",
                       "pool web-v2 (weight 5, rule 0): no health check of its IPv4 backends has "
                       "ended yet"}));
  // What is known to be wrong comes first.
  route.rules[0].pools[0].families[0] = {.family = Family::v4, .down = 2};
  EXPECT_EQ(ready_of(route).status, ConditionStatus::no);
  EXPECT_EQ(ready_of(route).message,
            "pool web-v1 (weight 95, rule 0) has no usable IPv4 backend: 2 down (+1 more)");
  second(route).families[0] = up(3);
  second(route).families[0].untold = 2;  // one has answered
  route.rules[0].pools[0].families[0] = up(1);
  EXPECT_EQ(ready_of(route).status, ConditionStatus::yes);
}

TEST(Conditions, PanicIsNeverSilent) {
  RouteFacts route = canary();
  second(route).families[0] = {
      .family = Family::v4, .serving = 1, .usable = 1, .down = 3, .spread = 3};
  EXPECT_EQ(ready_of(route),
            (Condition{ConditionStatus::yes, "PanicSpread",
                       "3 backends in 2 pools take new connections, and by panic 3 more that are "
                       "down"}));
  second(route).families[0] = {.family = Family::v4, .down = 4, .spread = 4};
  EXPECT_EQ(ready_of(route), no("NoUsableBackend",
                                "pool web-v2 (weight 5, rule 0) has no usable IPv4 backend: 4 "
                                "down; panic spreads over 4 of them"));
  second(route).families[0] = {.family = Family::v4, .usable = 1, .down = 3, .panic_fail = true};
  EXPECT_EQ(ready_of(route).reason, "PanicFail");
}

TEST(Conditions, ARuleThatServesNobodyUnreadies) {
  RouteFacts route = canary();
  for (PoolFacts& each : route.rules[0].pools) each.open = false;
  EXPECT_EQ(ready_of(route), no("PoolsDrained", "every pool of rule 0 with weight is drained"));
  for (PoolFacts& each : route.rules[0].pools) each.weight = 0;
  EXPECT_EQ(ready_of(route), no("NoWeight", "no pool of rule 0 has weight"));
}

TEST(Conditions, DecisionsByAnOlderTableUnready) {
  RouteFacts route = canary();
  second(route).stale = 1;
  EXPECT_EQ(ready_of(route),
            no("StaleDecisions", "pool web-v2 got 1 connection by a table that gives it none"));
  EXPECT_EQ(conditions_of(served(), route)[programmed].status, ConditionStatus::yes);
  second(route).stale = 0;
  route.refuted = "pool web-v2 of route web got 2 connections after it was closed";
  EXPECT_EQ(ready_of(route), no("NotProved", route.refuted));
}

TEST(Conditions, ReadyIsNeverTrueWhileProgrammedIsNot) {
  for (const uint64_t revision : {10, 11, 12, 13}) {
    for (const uint32_t slots : {0, 3275}) {
      for (const bool published : {false, true}) {
        ServedFacts facts = served();
        facts.workers[1].revision = revision;
        RouteFacts route = canary();
        route.published = published;
        second(route).slots = slots;
        const Conditions found = conditions_of(facts, route);
        const bool all = revision >= 12 && slots == 3275 && published;
        EXPECT_EQ(found[programmed].status == ConditionStatus::yes, all);
        EXPECT_EQ(found[ready].status == ConditionStatus::yes, all);
        for (const Condition& each : found) {
          EXPECT_FALSE(each.reason.empty());
          EXPECT_FALSE(each.message.empty());
        }
      }
    }
  }
}

}  // namespace
}  // namespace sluice::ctrl

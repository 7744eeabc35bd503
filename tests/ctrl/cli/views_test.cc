#include "ctrl/cli/views.h"

#include <gtest/gtest.h>

#include "ctrl/cli/table.h"

namespace sluice::cli {
namespace {

TEST(Table, AlignsColumnsAndDropsTrailingBlanks) {
  Table table({"POOL", ">WEIGHT", "STATE"});
  table.add({"blue", "95", "up"});
  table.add({"grün", "5", ""});
  EXPECT_EQ(table.render(2),
            "  POOL  WEIGHT  STATE\n"
            "  blue      95  up\n"
            "  grün       5\n");
}

TEST(Views, GroupsThousands) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1'000), "1,000");
  EXPECT_EQ(grouped(1'234'567), "1,234,567");
}

TEST(Views, AgoFollowsTheSize) {
  EXPECT_EQ(ago_text(json()), "never");
  EXPECT_EQ(ago_text(0.25), "250 us");
  EXPECT_EQ(ago_text(12), "12 ms");
  EXPECT_EQ(ago_text(3'400), "3.4 s");
  EXPECT_EQ(ago_text(600'000), "10 min");
  EXPECT_EQ(ago_text(7'200'000), "2.0 h");
}

json proof() {
  return json::parse(R"({"generation": 7, "revision": 9, "verdict": "not-proved",
    "reason": "worker 1 has not acknowledged revision 9",
    "workers": [{"worker": 0, "acknowledged": true, "after_us": 42.4, "generation": 7, "revision": 9},
                {"worker": 1, "acknowledged": false, "after_us": null, "generation": 6, "revision": 8}],
    "pools": [{"route": "web", "rule": 0, "pool": "web-v2", "version": "v2", "weight": 5,
               "share": 0.05, "decisions_before": 1000, "decisions_after": 20, "share_after": 0.051,
               "stale_decisions": 0, "active": 3, "last_decision_ago_ms": 12}]})");
}

TEST(Views, ProofNamesTheWorkerThatIsSilent) {
  const std::string text = proof_view(proof());
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "not-proved generation 7 (revision 9): worker 1 has not acknowledged revision 9");
  EXPECT_NE(text.find("  1       NO                -           6         8\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("42 us"), std::string::npos) << text;
  EXPECT_NE(text.find("5.000 %"), std::string::npos) << text;
  EXPECT_NE(text.find("5.100 %"), std::string::npos) << text;
}

TEST(Views, VerifySaysWhenTheShareServedIsNotTheShareAsked) {
  json pool = {{"route", "orders"}, {"rule", 0},           {"pool", "orders-v2"},
               {"share", 0.05},     {"window_ms", 30'000}, {"share_window", 0.27},
               {"z", 36.2}};
  const auto told = [&] { return verify_view({{"proof", {{"pools", {pool}}}}}); };
  EXPECT_NE(told().find("pool orders-v2 got 27.000 % of the connections of the last 30.0 s, "
                        "5.000 % was asked: 36 standard deviations more."),
            std::string::npos);
  for (const json& z : {json(4.4), json(-4.4), json(nullptr)}) {
    pool["z"] = z;
    EXPECT_EQ(told().find("standard deviations"), std::string::npos) << z;
  }
}

TEST(Views, OldConnectionsAreToldAsWhatTheyAre) {
  json with = proof();
  with["draining"] = json::parse(R"([{"route": "web", "rule": 0, "pool": "web-v1", "active": 16,
                                      "text": "16 connections of web-v1 were there before"}])");
  EXPECT_NE(proof_view(with).find("  draining: 16 connections of web-v1 were there before\n"),
            std::string::npos);
}

TEST(Views, ConditionsAndDrainsOfRoutes) {
  const json routes = json::parse(R"([{"name": "web",
    "conditions": [{"type": "Programmed", "status": "true", "reason": "WorkersAcknowledged",
                    "message": "all do", "since": "-", "since_ms": 5000, "observed_generation": 7},
                   {"type": "Ready", "status": "false", "reason": "NoUsableBackend",
                    "message": "none", "since": "-", "since_ms": 20, "observed_generation": 7}],
    "draining": [{"rule": 0, "pool": "web-v1", "backend": null, "active": 3, "existing": "drain",
                  "ends_in_ms": 23000, "text": "3 connections of web-v1 were there before"}]}])");
  EXPECT_EQ(conditions_view(routes),
            "ROUTE  CONDITION   STATUS  SINCE  GENERATION  REASON               MESSAGE\n"
            "web    Programmed  true    5.0 s           7  WorkersAcknowledged  all do\n"
            "web    Ready       false   20 ms           7  NoUsableBackend      none\n"
            "draining: 3 connections of web-v1 were there before, reset in 23.0 s (route web)\n");
  EXPECT_EQ(conditions_text(routes[0]["conditions"]), "not Ready: NoUsableBackend");
  EXPECT_NE(status_view({{"routes", routes}}).find("NoUsableBackend"), std::string::npos);
  EXPECT_NE(items_view({{"items", routes}}).find("NoUsableBackend"), std::string::npos);
  EXPECT_EQ(conditions_view(json::array()), "");
}

TEST(Views, ChangeSaysWhatWouldHappen) {
  const json dry = {
      {"dry_run", true},
      {"changes", {"route web rule 0: pool web-v2 weight 5 -> 10"}},
      {"moved", {{{"route", "web"}, {"rule", 0}, {"slots_moved", 3277}, {"share", 0.05}}}}};
  EXPECT_EQ(change_view(dry),
            "would: route web rule 0: pool web-v2 weight 5 -> 10\n"
            "would move 3,277 of 65,536 slots (5.000 %) of route web rule 0\n");
}

TEST(Views, EveryViewBearsAnEmptyAnswer) {
  for (auto* view : {status_view, proof_view, change_view, verify_view, history_view, flows_view,
                     explain_view, items_view, config_text_view}) {
    EXPECT_NO_THROW(view(json::object()));
  }
}

}  // namespace
}  // namespace sluice::cli

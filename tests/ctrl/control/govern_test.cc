// Several people at one control socket: who may, who has to agree, and what is recorded.
#include "ctrl/control/governor.h"

#include <gtest/gtest.h>

#include "ctrl/audit/query.h"
#include "ctrl/control/methods.h"
#include "tests/ctrl/control/lab.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;

constexpr const char* govern_toml = R"(
[approval]
expires = "10m"
[[role]]
name = "ops"
kind = "operator"
users = ["alice", "erin"]
routes = ["orders"]
[[role]]
name = "others"
kind = "operator"
users = ["frank"]
routes = ["pay*"]
[[role]]
name = "board"
kind = "approver"
users = ["bob", "alice"]
[[policy]]
name = "careful"
weight_step_max = 50
)";

std::string governed(bool approval = true) {
  std::string text = std::string(orders_toml) + govern_toml;
  const std::string route = "name = \"orders\"\nlisteners";
  if (approval) {
    text.replace(text.find(route), route.size(),
                 "name = \"orders\"\napproval = \"required\"\nlisteners");
  }
  return text;
}

const Author alice{.user = "alice", .uid = 2001, .pid = 1};
const Author bob{.user = "bob", .uid = 2002, .pid = 1};
const Author erin{.user = "erin", .uid = 2003, .pid = 1};
const Author frank{.user = "frank", .uid = 2004, .pid = 1};
const Author root{.user = "root", .uid = 0, .pid = 1};

class GovernTest : public testing::Test {
 protected:
  void begin(bool approval = true) {
    status_.reset();
    flows_.reset();
    life_.reset();
    life_.emplace(directory_.path(), governed(approval));
    ASSERT_EQ(life_->error, "");
    flows_ = std::make_unique<FlowLister>(life_->loop, *life_->controller);
    status_ = std::make_unique<StatusSource>(life_->loop, *life_->controller, identity_);
    handler_ = make_methods({*life_->controller, *flows_, *status_});
  }
  RpcResult ask(const Author& who, const std::string& method, const Json& params) {
    std::optional<RpcResult> answer;
    handler_({.id = 1, .notification = false, .method = method, .params = params}, who,
             [&](RpcResult result) { answer = std::move(result); });
    for (int i = 0; i < 10'000 && !answer; i++) life_->loop.advance(1ms);
    if (!answer) ADD_FAILURE() << method << " was not answered";
    return answer.value_or(Json());
  }
  Json weight(const Author& who, unsigned v2, Json more = Json::object()) {
    more["route"] = "orders";
    more["weights"] = {{"orders-v2", v2}};
    const RpcResult result = ask(who, "route.weight", more);
    if (result) return *result;
    return {{"refused", result.error().message}, {"why", result.error().data["why"]}};
  }
  Json decide(const Author& who, const std::string& verb, const std::string& id) {
    const RpcResult result = ask(who, "approval." + verb, {{"id", id}});
    return result ? *result : Json{{"refused", result.error().message}};
  }
  std::vector<Json> records(const std::string& event) const {
    return query_audit_log(directory_.path() / "audit", {.event = event, .limit = 100})->records;
  }
  uint64_t generation() const { return life_->controller->generation(); }

  TemporaryDirectory directory_;
  Identity identity_;
  std::optional<Life> life_;
  std::unique_ptr<FlowLister> flows_;
  std::unique_ptr<StatusSource> status_;
  RpcHandler handler_;
};

TEST_F(GovernTest, ASecondPersonMakesTheChange) {
  begin();
  const Json asked = weight(alice, 20, {{"reason", "canary"}});
  ASSERT_TRUE(asked.contains("waits")) << asked;
  const std::string id = asked["waits"]["id"];
  EXPECT_EQ(asked["waits"]["changes"].size(), 1u);
  EXPECT_EQ(generation(), 1u);
  EXPECT_EQ(decide(alice, "approve", id)["refused"],
            "user alice asked for change " + id + ": a second person has to approve it");
  EXPECT_TRUE(decide(erin, "approve", id).contains("refused")) << "no approver";
  const Json done = decide(bob, "approve", id);
  EXPECT_EQ(done["proof"]["verdict"], "proved") << done;
  EXPECT_EQ(generation(), 2u);
  const Json change = records("change").at(0);
  EXPECT_EQ(change["who"]["user"], "alice");
  EXPECT_EQ(change["approval"]["by"]["user"], "bob");
  EXPECT_EQ(change["approval"]["id"], id);
  EXPECT_EQ(change["diff_hash"], asked["waits"]["diff_hash"]);
  EXPECT_TRUE(decide(bob, "approve", id).contains("refused")) << "only once";
  EXPECT_EQ(records("refusal").size(), 3u);
}

TEST_F(GovernTest, AnApprovalIsForThatDiffOnly) {
  begin();
  const std::string id = weight(alice, 20)["waits"]["id"];
  ASSERT_TRUE(weight(root, 5, {{"break_glass", true}, {"reason", "fire"}}).contains("proof"));
  const Json late = decide(bob, "approve", id);
  EXPECT_TRUE(late["refused"].get<std::string>().starts_with("it would not do what was approved"));
  EXPECT_EQ(generation(), 2u);
  EXPECT_EQ(records("approval-invalid").size(), 1u);
  EXPECT_EQ(life_->controller->governor().counts().invalidated, 1u);
}

TEST_F(GovernTest, WhatWaitsSurvivesARestartAndExpires) {
  begin();
  const std::string id = weight(alice, 20)["waits"]["id"];
  begin();
  ASSERT_NE(life_->controller->governor().approvals().find(id), nullptr);
  life_->controller->governor().tick(life_->controller->unix_ms() + 599'000);
  EXPECT_NE(life_->controller->governor().approvals().find(id), nullptr);
  life_->controller->governor().tick(life_->controller->unix_ms() + 601'000);
  EXPECT_TRUE(decide(bob, "approve", id).contains("refused"));
  EXPECT_EQ(records("approval-expired").size(), 1u);
  EXPECT_EQ(generation(), 1u);
}

TEST_F(GovernTest, RejectedByAnotherOrTakenBack) {
  begin();
  const std::string first = weight(alice, 20)["waits"]["id"];
  EXPECT_TRUE(decide(bob, "reject", first).contains("rejected"));
  const std::string second = weight(erin, 20)["waits"]["id"];
  EXPECT_TRUE(decide(erin, "reject", second).contains("rejected"));
  EXPECT_TRUE(decide(bob, "approve", second).contains("refused"));
  EXPECT_EQ(records("approval-rejected").size(), 2u);
}

TEST_F(GovernTest, BreakGlassNeedsTheRightAndAReason) {
  begin();
  EXPECT_EQ(weight(erin, 20, {{"break_glass", true}})["refused"], "--break-glass needs a --reason");
  EXPECT_EQ(weight(bob, 20, {{"break_glass", true}, {"reason", "x"}})["why"], "role");
  ASSERT_TRUE(weight(erin, 900, {{"break_glass", true}, {"reason", "fire"}}).contains("proof"));
  const Json change = records("change").at(0);
  EXPECT_EQ(change["break_glass"]["overrode"].size(), 2u) << "the policy and the approval";
  EXPECT_EQ(life_->controller->governor().counts().break_glass, 1u);
  const auto loud = std::ranges::find_if(
      life_->seen_events, [](const Json& event) { return event["type"] == "break-glass"; });
  EXPECT_NE(loud, life_->seen_events.end());
}

TEST_F(GovernTest, PoliciesAndFreezesHoldForEverybody) {
  begin(false);
  EXPECT_EQ(weight(root, 500)["why"], "policy");
  ASSERT_TRUE(weight(root, 50).contains("proof"));
  ASSERT_TRUE(ask(root, "freeze.set", {{"for_ms", 3'600'000}, {"reason", "sales"}}));
  EXPECT_EQ(weight(root, 60)["why"], "freeze");
  EXPECT_FALSE(ask(alice, "freeze.lift", Json::object())) << "no right";
  EXPECT_TRUE(ask(alice, "rollback", Json::object()));
  EXPECT_EQ(generation(), 3u);
  begin(false);
  EXPECT_EQ(weight(root, 60)["why"], "freeze") << "kept over a restart";
  ASSERT_TRUE(ask(root, "freeze.lift", Json::object()));
  EXPECT_TRUE(weight(root, 50).contains("proof"));
  EXPECT_EQ(records("freeze").size() + records("unfreeze").size(), 2u);
}

TEST_F(GovernTest, GovernmentItselfNeedsASecondPerson) {
  begin();
  std::string text = governed();
  text.replace(text.find("\"bob\", "), 7, "");
  const RpcResult alone = ask(root, "config.apply", {{"text", text}});
  ASSERT_TRUE(alone);
  EXPECT_TRUE(alone->contains("waits")) << "or whoever edits roles could do without";
  EXPECT_FALSE(ask(alice, "config.apply", {{"text", text}}));
}

TEST_F(GovernTest, WhoMayChangeTheRouteMayConfirm) {
  begin(false);
  ASSERT_TRUE(weight(alice, 20, {{"confirm_within_ms", 600'000}}).contains("proof"));
  const RpcResult other = ask(frank, "confirm", Json::object());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().message,
            "user frank (others) may not confirm route orders: no role for it owns that route");
  begin(false);
  EXPECT_FALSE(ask(frank, "confirm", Json::object())) << "bound to the route over a restart";
  EXPECT_TRUE(ask(erin, "confirm", Json::object()));
  EXPECT_EQ(records("confirm").at(0)["who"]["role"], "ops");
}

TEST_F(GovernTest, CanISaysWhy) {
  begin();
  const auto can = [&](const Author& who, const char* verb) {
    return *ask(who, "access.can", {{"verb", verb}, {"route", "orders"}});
  };
  EXPECT_EQ(can(alice, "weight")["allowed"], true);
  EXPECT_EQ(can(alice, "weight")["approval"], true);
  EXPECT_EQ(can(bob, "approve")["role"], "board");
  EXPECT_EQ(can(bob, "weight")["reason"], "user bob (board) may not weight: no role allows it");
}

TEST_F(GovernTest, DiffShowsWhoHoldsWhat) {
  begin(false);
  ASSERT_TRUE(weight(alice, 20).contains("proof"));
  const Json diff = *ask(bob, "config.diff", {{"text", governed(false)}});
  ASSERT_EQ(diff["held"].size(), 1u);
  EXPECT_EQ(diff["held"][0]["user"], "alice");
  EXPECT_EQ(diff["held"][0]["value"], "20");
  EXPECT_EQ(diff["held"][0]["file"], "0");
  const RpcResult refused = ask(root, "config.apply", {{"text", governed(false)}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().data["why"], "held");
  EXPECT_TRUE(ask(root, "config.apply", {{"text", governed(false)}, {"keep_held", true}}));
  begin(false);
  EXPECT_EQ(life_->controller->content().holders.begin()->second.user, "alice");
}

}  // namespace
}  // namespace sluice::ctrl

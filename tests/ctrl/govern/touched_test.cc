#include "ctrl/govern/touched.h"

#include "ctrl/govern/diff_hash.h"
#include "tests/ctrl/govern/configs.h"

namespace sluice::ctrl {
namespace {

using Names = std::set<std::string>;

Names routes(const std::string& from, const std::string& to, const std::string& more = "") {
  return touched_by(config_with(), config_with(from, to, more)).routes;
}

TEST(TouchedTest, ARouteIsTouchedByItsPoolsAndListenersToo) {
  EXPECT_TRUE(touched_by(config_with(), config_with()).nothing());
  EXPECT_EQ(routes("weight = 5", "weight = 6"), Names{"web"});
  EXPECT_EQ(routes("10.0.1.13", "10.0.1.23"), Names{"dns"});
  EXPECT_EQ(routes("port = 53\n\n[[route]]", "port = 54\n\n[[route]]"), Names{"dns"});
  EXPECT_EQ(routes("", "",
                   "[[listener]]\nname = \"new\"\nprotocol = \"udp\"\naddress = \"10.0.0.101\"\n"
                   "port = 53\n[[route]]\nname = \"new\"\nlisteners = [\"new\"]\n[[route.rule]]\n"
                   "backends = [{ pool = \"spare\" }]\n"),
            Names{"new"});
}

TEST(TouchedTest, WhatNoRouteUsesAndWhatBelongsToTheNode) {
  const Touched spare = touched_by(config_with(), config_with("10.0.1.14", "10.0.1.24"));
  EXPECT_TRUE(spare.routes.empty());
  EXPECT_EQ(spare.unused, Names{"spare"});
  const Touched timeouts =
      touched_by(config_with(), config_with("", "", "[timeouts]\nudp_new = \"9s\"\n"));
  EXPECT_TRUE(timeouts.node_wide);
  EXPECT_TRUE(timeouts.routes.empty());
  // Read at start only: nothing that is served changes.
  EXPECT_TRUE(touched_by(config_with(), config_with("10.0.0.2/24", "10.0.0.3/24")).nothing());
}

TEST(DiffHashTest, BindsVerbIntentAndDiff) {
  const nlohmann::json intent =
      intent_of({{"route", "web"}, {"to", "web-v2"}, {"reason", "x"}, {"wait_ms", 5}});
  EXPECT_EQ(intent, nlohmann::json({{"route", "web"}, {"to", "web-v2"}}));
  const std::string hash = diff_hash("switch", intent, {"a", "b"});
  EXPECT_EQ(hash, diff_hash("switch", intent, {"a", "b"}));
  EXPECT_NE(hash, diff_hash("weight", intent, {"a", "b"}));
  EXPECT_NE(hash, diff_hash("switch", intent, {"a", "c"}));
  EXPECT_NE(hash, diff_hash("switch", intent_of({{"route", "web"}}), {"a", "b"}));
  const auto file = intent_of({{"text", "abc"}});
  EXPECT_EQ(file["text_sha256"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_FALSE(file.contains("text"));
  EXPECT_LT(intent_of({{"weights", std::string(100'000, 'x')}}).dump().size(), 200u);
}

}  // namespace
}  // namespace sluice::ctrl

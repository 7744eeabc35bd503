#include "ctrl/govern/access.h"

#include "tests/ctrl/govern/configs.h"

namespace sluice::ctrl {
namespace {

constexpr const char* roles_toml = R"(
[[role]]
name = "web-ops"
kind = "operator"
users = ["alice", "2001"]
routes = ["web*"]
[[role]]
name = "dns-ops"
kind = "operator"
groups = ["3000"]
routes = ["dns"]
verbs = ["weight"]
[[role]]
name = "release"
kind = "approver"
users = ["carol"]
[[role]]
name = "boss"
kind = "admin"
users = ["dora"]
)";

class AccessTest : public testing::Test {
 protected:
  AccessAnswer ask(const Person& person, std::string_view verb,
                   const std::set<std::string>& routes = {}, bool node_wide = false) const {
    Touched touched;
    touched.routes = routes;
    touched.node_wide = node_wide;
    return Access(config_.govern, 990).may(person, verb, touched);
  }
  bool may(const Person& person, std::string_view verb, const std::set<std::string>& routes = {},
           bool node_wide = false) const {
    return ask(person, verb, routes, node_wide).allowed;
  }

  Config config_ = config_with("", "", roles_toml);
  Person alice_{.user = "alice", .uid = 2000};
  Person numbered_{.user = "2001", .uid = 2001};
  Person bob_{.user = "bob", .uid = 2002, .gids = {1, 3000}};
  Person carol_{.user = "carol", .uid = 2003};
  Person dora_{.user = "dora", .uid = 2004};
  Person stranger_{.user = "eve", .uid = 2005};
};

TEST_F(AccessTest, OperatorsChangeTheirOwnRoutesOnly) {
  EXPECT_TRUE(may(alice_, "weight", {"web"}));
  EXPECT_TRUE(may(numbered_, "switch", {"web", "web-admin"}));
  EXPECT_FALSE(may(alice_, "weight", {"dns"}));
  EXPECT_FALSE(may(alice_, "weight", {"web", "dns"}));
  EXPECT_FALSE(may(alice_, "apply", {"web"}));
  EXPECT_FALSE(may(alice_, "rollback", {"web"}, true));
  EXPECT_TRUE(may(bob_, "weight", {"dns"})) << "by a supplementary group";
  EXPECT_FALSE(may(bob_, "switch", {"dns"})) << "not among the role's verbs";
  EXPECT_EQ(ask(alice_, "weight", {"dns"}).why,
            "user alice (web-ops) may not weight route dns: no role for it owns that route");
}

TEST_F(AccessTest, OthersByTheirKind) {
  EXPECT_TRUE(may(carol_, "approve", {"web", "dns"}));
  EXPECT_FALSE(may(carol_, "weight", {"web"}));
  EXPECT_TRUE(may(dora_, "apply", {"web", "dns"}, true));
  EXPECT_FALSE(may(stranger_, "weight", {"web"}));
  EXPECT_EQ(ask(stranger_, "weight").role, "viewer");
  EXPECT_EQ(ask(stranger_, "weight").why, "user eve (viewer) may not weight: no role allows it");
}

TEST_F(AccessTest, RootAndSluicedsOwnUserAreNeverLockedOut) {
  EXPECT_TRUE(may({.user = "root", .uid = 0}, "apply", {"web"}, true));
  EXPECT_TRUE(may({.user = "sluice", .uid = 990}, "apply", {"web"}, true));
  const Config without_roles = config_with();
  const Access access(without_roles.govern, 990);
  EXPECT_FALSE(access.may(stranger_, "weight", {}).allowed) << "no roles: others only look";
  EXPECT_TRUE(access.may({.user = "root", .uid = 0}, "weight", {}).allowed);
}

TEST_F(AccessTest, ANumberIsNeverAName) {
  EXPECT_FALSE(may({.user = "2001", .uid = 5}, "weight", {"web"}))
      << "a user whose name is another's number";
}

TEST(PatternTest, StarsStandForAnything) {
  EXPECT_TRUE(fits_pattern("web", "*"));
  EXPECT_TRUE(fits_pattern("web-eu-1", "web-*-1"));
  EXPECT_TRUE(fits_pattern("web", "web"));
  EXPECT_FALSE(fits_pattern("web", "we"));
  EXPECT_FALSE(fits_pattern("we", "web"));
  EXPECT_FALSE(fits_pattern("web-eu-2", "web-*-1"));
  EXPECT_TRUE(fits_pattern("aXbXXc", "a*b*c"));
}

}  // namespace
}  // namespace sluice::ctrl

#include "ctrl/govern/change_limits.h"

#include <fmt/format.h>

#include "tests/ctrl/govern/configs.h"

namespace sluice::ctrl {
namespace {

constexpr const char* step_toml =
    "[[policy]]\nname = \"careful\"\nroutes = [\"web\"]\nweight_step_max = 25\n";

Config weighed(unsigned v1, unsigned v2, const std::string& more = step_toml) {
  return config_with("{ pool = \"web-v1\", weight = 95 }, { pool = \"web-v2\", weight = 5 }",
                     fmt::format("{{ pool = \"web-v1\", weight = {} }}, {{ pool = \"web-v2\", "
                                 "weight = {} }}",
                                 v1, v2),
                     more);
}

TEST(LimitsTest, AStepIsMeasuredInShares) {
  EXPECT_FALSE(too_big_a_step(weighed(95, 5), weighed(70, 30)));
  EXPECT_TRUE(too_big_a_step(weighed(95, 5), weighed(69, 31)));
  EXPECT_FALSE(too_big_a_step(weighed(95, 5), weighed(950, 50)));
  EXPECT_EQ(too_big_a_step(weighed(95, 5), weighed(0, 100)).value(),
            "policy careful lets a pool gain at most 25 percentage points in one step: route web "
            "rule 0 pool web-v2 would go from 5 % to 100 %");
  EXPECT_FALSE(too_big_a_step(weighed(50, 50), weighed(100, 0))) << "taking a canary away";
  EXPECT_FALSE(too_big_a_step(weighed(95, 5, ""), weighed(0, 100, ""))) << "no policy";
  EXPECT_TRUE(too_big_a_step(weighed(95, 5), weighed(0, 100, "")))
      << "a file that drops the policy does not escape it";
}

TEST(LimitsTest, AFreezeHoldsForItsRoutesAndItsTime) {
  FreezeConfig freeze{.name = "sales",
                      .from_unix_ms = 1000,
                      .until_unix_ms = 2000,
                      .routes = {"web*"},
                      .reason = "big day"};
  Touched web, dns, node;
  web.routes = {"web"};
  dns.routes = {"dns"};
  node.node_wide = true;
  EXPECT_FALSE(frozen({freeze}, web, 999));
  EXPECT_EQ(frozen({freeze}, web, 1000).value(),
            "route web is frozen until 1970-01-01T00:00:02Z by freeze sales (big day); only a "
            "rollback is possible");
  EXPECT_FALSE(frozen({freeze}, web, 2000));
  EXPECT_FALSE(frozen({freeze}, dns, 1500));
  EXPECT_FALSE(frozen({freeze}, node, 1500));
  freeze.routes = {"*"};
  EXPECT_TRUE(frozen({freeze}, node, 1500));
}

TEST(LimitsTest, ApprovalIsNeededBeforeAndAfter) {
  const Config open = config_with();
  const Config closed = config_with("name = \"web\"\nlisteners",
                                    "name = \"web\"\napproval = \"required\"\nlisteners");
  Touched web;
  web.routes = {"web"};
  EXPECT_TRUE(need_approval(open, open, web).empty());
  EXPECT_EQ(need_approval(closed, open, web), std::set<std::string>{"web"})
      << "a file cannot drop the need and use that at once";
  EXPECT_EQ(need_approval(open, closed, web), std::set<std::string>{"web"});
  Touched roles;
  roles.node_wide = true;
  EXPECT_EQ(need_approval(closed, closed, roles), std::set<std::string>{"web"});
}

TEST(TimeTest, Rfc3339) {
  EXPECT_EQ(parse_time_unix_ms("1970-01-01T00:00:01Z"), 1000u);
  EXPECT_EQ(parse_time_unix_ms("2026-11-27"), 1795737600000u);
  EXPECT_EQ(parse_time_unix_ms("2026-11-27T01:00:00.25+01:00"), 1795737600000u);
  EXPECT_EQ(format_time(1795737600000u), "2026-11-27T00:00:00Z");
  for (const char* wrong : {"", "2026-13-01", "2026-02-30", "2026-11-27T00:00:00", "tomorrow",
                            "2026-11-27T24:00:00Z", "2026-11-27T00:00:00Zx"}) {
    EXPECT_FALSE(parse_time_unix_ms(wrong)) << wrong;
  }
}

TEST(PublicTest, InsideAndOutside) {
  for (const char* inside : {"10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"}) {
    EXPECT_FALSE(is_public(parse_ip(inside).value())) << inside;
  }
  for (const char* outside : {"8.8.8.8", "172.32.0.1", "203.0.113.7", "2001:db8::1"}) {
    EXPECT_TRUE(is_public(parse_ip(outside).value())) << outside;
  }
}

TEST(PolicyTest, TimeoutDefaultsAreForcedAndCeilingsLowerThem) {
  const Config config = config_with(
      "", "",
      "[[policy]]\nname = \"t\"\n[policy.timeouts]\ntcp_established = { max = \"1h\" }\n"
      "udp_new = { default = \"5s\", max = \"10s\" }\n");
  EXPECT_EQ(config.timeouts.tcp_established, 36'000u);
  EXPECT_EQ(config.timeouts.udp_new, 50u);
}

}  // namespace
}  // namespace sluice::ctrl

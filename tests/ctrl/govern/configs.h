// A configuration with two routes, one of them canaried, and variants of it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "ctrl/config/config.h"

namespace sluice::ctrl {

inline constexpr const char* two_routes_toml = R"(
[[port]]
name = "front"
device = "null"
addresses = ["10.0.0.2/24"]

[[pool]]
name = "web-v1"
backends = [{ address = "10.0.1.11", port = 80 }]
[[pool]]
name = "web-v2"
backends = [{ address = "10.0.1.12", port = 80 }]
[[pool]]
name = "dns-v1"
backends = [{ address = "10.0.1.13", port = 53 }]
[[pool]]
name = "spare"
backends = [{ address = "10.0.1.14", port = 53 }]

[[listener]]
name = "web"
protocol = "tcp"
address = "10.0.0.100"
port = 80
[[listener]]
name = "dns"
protocol = "udp"
address = "10.0.0.100"
port = 53

[[route]]
name = "web"
listeners = ["web"]
[[route.rule]]
backends = [{ pool = "web-v1", weight = 95 }, { pool = "web-v2", weight = 5 }]

[[route]]
name = "dns"
listeners = ["dns"]
[[route.rule]]
backends = [{ pool = "dns-v1" }]
)";

/// The configuration with `from` replaced by `to`, once, and `more` behind it.
inline Config config_with(const std::string& from = "", const std::string& to = "",
                          const std::string& more = "") {
  std::string text = std::string(two_routes_toml) + more;
  if (!from.empty()) {
    EXPECT_NE(text.find(from), std::string::npos) << from;
    text.replace(text.find(from), from.size(), to);
  }
  ParseOutcome outcome = parse_config(text, "two.toml");
  for (const ConfigError& error : outcome.errors) ADD_FAILURE() << to_string(error);
  return std::move(outcome.config);
}

}  // namespace sluice::ctrl

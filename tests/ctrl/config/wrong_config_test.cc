// Wrong configurations, each with the exact messages that it must give (wrong/*.cases).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "ctrl/config/config.h"

namespace sluice::ctrl {
namespace {

constexpr std::string_view good_port = R"([[port]]
name = "lab"
device = "null"
addresses = ["10.0.0.2/24", "fd00:1::2/64"]
)";

constexpr std::string_view good_pools = R"([[pool]]
name = "orders-v1"
backends = [{ address = "10.0.1.11", port = 8080 }, { address = "fd00:2::11", port = 8080 }]
[[pool]]
name = "orders-v2"
backends = [{ address = "10.0.1.21", port = 8080 }, { address = "fd00:2::21", port = 8080 }]
)";

constexpr std::string_view good_listeners = R"([[listener]]
name = "orders"
protocol = "tcp"
address = "10.0.0.100"
port = 80
[[listener]]
name = "orders-6"
protocol = "tcp"
address = "fd00:1::100"
port = 80
)";

struct WrongConfig {
  std::string name;
  std::string text;
  std::vector<std::string> messages;
};

// The end of a header line: "=== NAME +port +pools" asks for good sections after the wrong ones.
std::string good_sections(std::string_view header) {
  std::string sections = "\n";
  if (header.contains("+port")) sections += good_port;
  if (header.contains("+pools")) sections += good_pools;
  if (header.contains("+listeners")) sections += good_listeners;
  return sections;
}

std::vector<WrongConfig> read_cases(const std::filesystem::path& path) {
  std::vector<WrongConfig> cases;
  std::ifstream file(path);
  bool in_messages = true;
  std::string header;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("=== ")) {
      header = line.substr(4);
      cases.push_back({header, "", {}});
      in_messages = false;
    } else if (line == "---") {
      cases.back().text += good_sections(header);
      in_messages = true;
    } else if (!in_messages) {
      cases.back().text += line + "\n";
    } else if (!cases.empty() && !line.empty()) {
      cases.back().messages.push_back(line);
    }
  }
  return cases;
}

std::vector<std::string> messages_of(std::string_view text) {
  std::vector<std::string> messages;
  for (const ConfigError& error : parse_config(text, "edge.toml").errors) {
    messages.push_back(to_string(error));
  }
  return messages;
}

TEST(WrongConfig, GivesExactlyItsMessages) {
  size_t count = 0;
  std::set<std::string> kinds;
  for (const auto& file : std::filesystem::directory_iterator(SLUICE_TEST_DIR "/wrong")) {
    for (const WrongConfig& wrong : read_cases(file.path())) {
      EXPECT_EQ(messages_of(wrong.text), wrong.messages)
          << file.path().filename() << ": " << wrong.name << "\n"
          << wrong.text;
      EXPECT_FALSE(wrong.messages.empty()) << wrong.name;
      ++count;
    }
  }
  EXPECT_GE(count, 90u);
}

TEST(WrongConfig, TheSectionsAddedToCasesAreGood) {
  EXPECT_EQ(messages_of(good_sections("+port +pools +listeners")), std::vector<std::string>{});
}

}  // namespace
}  // namespace sluice::ctrl

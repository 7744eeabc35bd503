#include "ctrl/runtime/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>
#include <thread>
#include <vector>

namespace sluice::ctrl {
namespace {

class LogTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sluice-log-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    file_ = directory_ + "/log";
    const Status opened = open_log({.level = LogLevel::debug, .file = file_});
    ASSERT_TRUE(opened) << opened.error().message;
  }
  void TearDown() override {
    set_log_observer(nullptr);
    EXPECT_TRUE(open_log({}));
    std::filesystem::remove_all(directory_);
  }

  std::vector<nlohmann::json> lines() const {
    std::ifstream in(file_);
    std::vector<nlohmann::json> found;
    for (std::string line; std::getline(in, line);) found.push_back(nlohmann::json::parse(line));
    return found;
  }

  std::string directory_;
  std::string file_;
};

TEST_F(LogTest, WritesOneJsonObjectALine) {
  log_info("health", "backend down",
           {{"pool", "orders-v1"},
            {"failures", 3},
            {"bytes", uint64_t{1} << 63},
            {"delta", -5},
            {"up", false},
            {"share", 0.5},
            {"odd", std::numeric_limits<double>::infinity()}});
  const auto found = lines();
  ASSERT_EQ(found.size(), 1u);
  const auto& line = found[0];
  EXPECT_TRUE(std::regex_match(line["time"].get<std::string>(),
                               std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["component"], "health");
  EXPECT_EQ(line["message"], "backend down");
  EXPECT_EQ(line["pool"], "orders-v1");
  EXPECT_EQ(line["failures"], 3);
  EXPECT_EQ(line["bytes"].get<uint64_t>(), uint64_t{1} << 63);
  EXPECT_EQ(line["delta"], -5);
  EXPECT_EQ(line["up"], false);
  EXPECT_EQ(line["share"], 0.5);
  EXPECT_TRUE(line["odd"].is_null());
}

TEST_F(LogTest, AnyBytesStayValidJson) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  all += "\xe2\x82\xac and \xf0\x9f\x98\x80";             // well-formed: the euro sign and an emoji
  all += "\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80\xe2\x82";  // surrogate, overlong, too far, cut off
  log_warn("test", "bytes", {{"text", all}});
  const auto found = lines();
  ASSERT_EQ(found.size(), 1u);
  const std::string text = found[0]["text"];
  EXPECT_EQ(text.substr(0, 128), all.substr(0, 128));
  EXPECT_NE(text.find("\xe2\x82\xac and \xf0\x9f\x98\x80"), std::string::npos);
}

TEST_F(LogTest, LevelsBelowAreLeftOut) {
  ASSERT_TRUE(open_log({.level = LogLevel::warn, .file = file_}));
  log_debug("test", "a");
  log_info("test", "b");
  log_warn("test", "c");
  log_error("test", "d");
  EXPECT_FALSE(log_enabled(LogLevel::info));
  const auto found = lines();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0]["message"], "c");
  EXPECT_EQ(found[1]["level"], "error");
}

TEST_F(LogTest, FloodOfOneMessageIsLimitedAndCounted) {
  for (int i = 0; i < 500; ++i) log_info("test", "flood", {{"i", i}});
  log_info("test", "another message gets through");
  const size_t before = lines().size();
  EXPECT_GE(before, log_burst_max + 1);
  EXPECT_LE(before, 2 * log_burst_max + 1) << "the burst may have met the turn of a second";
  ::usleep(1'100'000);
  log_info("test", "flood", {{"i", 500}});
  const auto found = lines();
  ASSERT_EQ(found.size(), before + 1);
  uint64_t suppressed = 0;
  for (const auto& line : found) suppressed += line.value("suppressed", uint64_t{0});
  EXPECT_EQ(suppressed + found.size() - 1, 501u) << "every line was written or counted";
}

TEST_F(LogTest, ThreadsDoNotMixTheirLines) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) {
        log_info("test", "thread " + std::to_string(t) + " line " + std::to_string(i),
                 {{"filler", std::string(500, static_cast<char>('a' + t))}});
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(lines().size(), 1600u);  // and each of them parsed
}

TEST_F(LogTest, ObserverSeesWhatIsWritten) {
  std::vector<std::string> seen;
  set_log_observer([&](LogLevel level, std::string_view line) {
    EXPECT_EQ(level, LogLevel::info);
    seen.emplace_back(line);
  });
  log_info("test", "seen");
  set_log_observer(nullptr);
  log_info("test", "unseen");
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(nlohmann::json::parse(seen[0])["message"], "seen");
}

TEST_F(LogTest, ReopenFollowsARotation) {
  log_info("test", "old");
  std::filesystem::rename(file_, file_ + ".1");
  log_info("test", "still old");
  ASSERT_TRUE(reopen_log());
  log_info("test", "new");
  const auto found = lines();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0]["message"], "new");
}

TEST_F(LogTest, FileThatCannotBeOpenedIsNamedAndChangesNothing) {
  const Status opened = open_log({.level = LogLevel::error, .file = directory_ + "/no/such/log"});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message,
            "log file " + directory_ + "/no/such/log: No such file or directory");
  log_debug("test", "goes on as before");
  EXPECT_EQ(lines().size(), 1u);
}

TEST(LogLevel, Parses) {
  EXPECT_EQ(parse_log_level("debug"), LogLevel::debug);
  EXPECT_EQ(parse_log_level("error"), LogLevel::error);
  ASSERT_FALSE(parse_log_level("loud"));
  EXPECT_EQ(parse_log_level("loud").error().message,
            "log level \"loud\": must be debug, info, warn or error");
}

}  // namespace
}  // namespace sluice::ctrl

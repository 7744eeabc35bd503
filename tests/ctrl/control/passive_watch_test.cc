// The data plane's trouble with a backend has it suspected: thresholds, windows, recycled ids.
#include "ctrl/control/passive_watch.h"

#include <gtest/gtest.h>

#include "tests/ctrl/control/lab.h"

namespace sluice::ctrl {
namespace {

std::string watched_toml() {
  std::string text = orders_toml;
  const std::string_view marker = "version = \"v1\"\n";
  text.insert(text.find(marker) + marker.size(),
              "health = { type = \"tcp\", passive = { failures = 5, window = \"3s\" } }\n");
  return text;
}

class PassiveWatchTest : public testing::Test {
 protected:
  dataplane::BackendCounters& counters(const char* pool, const char* backend, unsigned worker) {
    const auto identity = life_.controller->registry().find_backend({pool, endpoint(backend)});
    return life_.engine.mutable_counters(worker).backends[identity->id];
  }
  void pass(int seconds) { life_.loop.advance(std::chrono::seconds(seconds)); }

  TemporaryDirectory directory_;
  Life life_{directory_.path(), watched_toml()};
};

TEST_F(PassiveWatchTest, ThresholdWithinTheWindowSuspects) {
  ASSERT_TRUE(life_.controller) << life_.error;
  pass(2);
  auto& one = counters("orders-v1", "10.0.1.11:8080", 0);
  auto& two = counters("orders-v1", "10.0.1.11:8080", 1);
  one.refused.add(2);
  two.unanswered.add(2);
  pass(2);
  EXPECT_TRUE(life_.node.suspected.empty()) << "4 of 5";
  pass(5);
  one.refused.add(4);
  pass(2);
  EXPECT_TRUE(life_.node.suspected.empty()) << "the first ones are out of the window";
  two.unanswered.add(1);
  pass(2);
  ASSERT_EQ(life_.node.suspected.size(), 1u);
  EXPECT_EQ(life_.node.suspected[0].first, (BackendKey{"orders-v1", endpoint("10.0.1.11:8080")}));
  EXPECT_EQ(life_.node.suspected[0].second,
            "data plane: 4 handshakes refused, 1 unanswered within 3s");
  pass(5);
  EXPECT_EQ(life_.node.suspected.size(), 1u) << "each is told once";
}

TEST_F(PassiveWatchTest, PoolsThatDoNotAskAreNotWatched) {
  ASSERT_TRUE(life_.controller) << life_.error;
  pass(2);
  counters("orders-v2", "10.0.2.11:8080", 0).refused.add(1'000);
  pass(3);
  EXPECT_TRUE(life_.node.suspected.empty());
}

}  // namespace
}  // namespace sluice::ctrl

// Answers of `status` are used again while nothing happens, and only for so long.
#include "ctrl/control/status_source.h"

#include <gtest/gtest.h>

#include "ctrl/control/rpc.h"
#include "tests/ctrl/control/lab.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;

class StatusSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(life_.error, "");
    nic::PortInfo port;
    port.name = "front";
    identity_.ports = {port};
    // Every answer asks each port once: that is what it costs here.
    identity_.device_stats = [this](uint8_t) {
      made_++;
      life_.loop.advance(cost_);
      return nic::DeviceStats{};
    };
  }
  Json ask() {
    const Json answer = source_.answer(*life_.controller, identity_);
    return Json::parse(answer_line(1, answer))["result"];
  }
  /// Whether an answer is made anew.
  bool is_fresh() {
    const unsigned before = made_;
    EXPECT_EQ(ask()["name"], "edge-test");
    return made_ > before;
  }

  TemporaryDirectory directory_;
  Life life_{directory_.path()};
  Identity identity_;
  StatusSource source_;
  std::chrono::nanoseconds cost_ = 1ms;
  unsigned made_ = 0;
};

TEST_F(StatusSourceTest, UsedAgainForFourTimesItsCost) {
  EXPECT_TRUE(is_fresh());
  life_.connect(3);
  EXPECT_EQ(ask()["routes"][0]["rules"][0]["pools"][0]["decisions"], 0);
  life_.loop.advance(3'900us);
  EXPECT_FALSE(is_fresh());
  life_.loop.advance(200us);
  EXPECT_EQ(ask()["routes"][0]["rules"][0]["pools"][0]["decisions"], 3);
  EXPECT_EQ(made_, 2u);
}

TEST_F(StatusSourceTest, NeverOlderThanATenthOfASecond) {
  cost_ = 200ms;
  EXPECT_TRUE(is_fresh());
  life_.loop.advance(99ms);
  EXPECT_FALSE(is_fresh());
  life_.loop.advance(2ms);
  EXPECT_TRUE(is_fresh());
}

TEST_F(StatusSourceTest, WhatHappensIsSeenAtOnce) {
  EXPECT_TRUE(is_fresh());
  EXPECT_FALSE(is_fresh());
  life_.events.emit("confirm", {});
  EXPECT_TRUE(is_fresh()) << "an event";
  ASSERT_TRUE(life_.weight({{"orders-v2", 5}}));
  EXPECT_EQ(ask()["generation"], 2) << "a change";
}

TEST_F(StatusSourceTest, ACheapOneIsAlwaysMadeAnew) {
  cost_ = 40us;
  for (int i = 0; i < 3; i++) EXPECT_TRUE(is_fresh());
}

TEST_F(StatusSourceTest, SlotsAreCountedOnceAndRight) {
  for (const uint32_t green : {5u, 0u, 50u, 5u}) {
    ASSERT_TRUE(life_.weight({{"orders-v1", 100 - green}, {"orders-v2", green}}));
    life_.loop.advance(1s);
    const Json pools = ask()["routes"][0]["rules"][0]["pools"];
    EXPECT_NEAR(pools[1]["slots"].get<double>(), 655.36 * green, 1);
    EXPECT_EQ(pools[0]["slots"].get<uint32_t>() + pools[1]["slots"].get<uint32_t>(), 65'536u);
  }
}

}  // namespace
}  // namespace sluice::ctrl

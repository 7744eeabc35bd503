// Answers of `status`: shared by those who ask at one time, none older than its question.
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
  /// The answer goes to answers_ when it comes.
  void ask() {
    source_.ask([this](const RpcResult& answer) {
      answers_.push_back(Json::parse(answer_line(1, answer))["result"]);
    });
  }
  /// Connections that the last answer knows of.
  Json connections() const { return pools_of(answers_.back())[0]["decisions"]; }
  static Json pools_of(const Json& answer) { return answer["routes"][0]["rules"][0]["pools"]; }

  TemporaryDirectory directory_;
  Life life_{directory_.path()};
  Identity identity_;
  StatusSource source_{life_.loop, *life_.controller, identity_};
  std::chrono::nanoseconds cost_ = 1ms;
  unsigned made_ = 0;
  std::vector<Json> answers_;
};

TEST_F(StatusSourceTest, RestsForFourTimesItsCostAndAnswersAllAtOnce) {
  ask();
  EXPECT_EQ(answers_.size(), 1u) << "the first one at once";
  life_.loop.advance(3'900us);
  for (int i = 0; i < 5; i++) ask();
  EXPECT_EQ(answers_.size(), 1u);
  life_.connect(3);
  life_.loop.advance(200us);
  EXPECT_EQ(answers_.size(), 6u);
  EXPECT_EQ(made_, 2u) << "one for all five";
  EXPECT_EQ(answers_[1], answers_.back());
  EXPECT_EQ(connections(), 3) << "made after it was asked for";
}

TEST_F(StatusSourceTest, NoAnswerIsOlderThanItsQuestion) {
  for (int asked = 1; asked <= 20; asked++) {
    life_.connect(1);
    ask();
    while (answers_.size() < static_cast<size_t>(asked)) life_.loop.advance(100us);
    EXPECT_EQ(connections(), asked);
  }
}

TEST_F(StatusSourceTest, RestsNoLongerThanATenthOfASecond) {
  cost_ = 200ms;
  ask();
  ask();
  life_.loop.advance(99ms);
  EXPECT_EQ(answers_.size(), 1u);
  life_.loop.advance(2ms);
  EXPECT_EQ(answers_.size(), 2u);
}

TEST_F(StatusSourceTest, NoRestAfterACheapOne) {
  cost_ = 40us;
  for (unsigned i = 1; i <= 3; i++) {
    ask();
    EXPECT_EQ(answers_.size(), i);
  }
}

TEST_F(StatusSourceTest, WhoAsksOutOfAnAnswerWaitsForTheNext) {
  bool again = false;
  source_.ask([&](const RpcResult&) { source_.ask([&](const RpcResult&) { again = true; }); });
  EXPECT_FALSE(again);
  life_.loop.advance(4ms);
  EXPECT_TRUE(again);
  EXPECT_EQ(made_, 2u);
}

TEST_F(StatusSourceTest, SlotsAreCountedOnceAndRight) {
  for (const uint32_t green : {5u, 0u, 50u, 5u}) {
    ASSERT_TRUE(life_.weight({{"orders-v1", 100 - green}, {"orders-v2", green}}));
    life_.loop.advance(1s);
    ask();
    const Json pools = pools_of(answers_.back());
    EXPECT_NEAR(pools[1]["slots"].get<double>(), 655.36 * green, 1);
    EXPECT_EQ(pools[0]["slots"].get<uint32_t>() + pools[1]["slots"].get<uint32_t>(), 65'536u);
  }
}

}  // namespace
}  // namespace sluice::ctrl

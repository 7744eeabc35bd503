#include "ctrl/runtime/slow_path.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/base/byte_order.h"
#include "tests/ctrl/runtime/net_namespace.h"
#include "tests/ctrl/runtime/run_until.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;
using test::run_for;
using test::run_until;
using test::sh;
using Frame = std::vector<uint8_t>;

/// The engine's side of the rings, without workers. Wakes only when armed, as the engine does.
class RingEngine final : public dataplane::Engine {
 public:
  ~RingEngine() override { ::close(fd_); }

  void reply() {
    ++replies_waiting_;
    wake();
  }
  void punt(uint8_t port, Frame frame) {
    ring_.emplace_back(port, std::move(frame));
    wake();
  }
  void wake() {
    if (std::exchange(armed_, false)) {
      const uint64_t one = 1;
      EXPECT_EQ(::write(fd_, &one, sizeof one), 8);
    }
  }

  int punt_fd() const override { return fd_; }
  bool arm_punt_fd() override {
    armed_ = ring_.empty() && replies_waiting_ == 0;
    return armed_;
  }
  bool punt_pop(dataplane::PuntFrame& frame) override {
    if (ring_.empty()) return false;
    auto* held = new std::pair<uint8_t, Frame>(std::move(ring_.front()));
    ring_.pop_front();
    frame = {.port = held->first, .bytes = held->second, .handle = held};
    ++held_;
    held_max_ = std::max(held_max_, held_);
    return true;
  }
  void punt_release(dataplane::PuntFrame& frame) override {
    delete static_cast<std::pair<uint8_t, Frame>*>(frame.handle);
    frame = {};
    --held_;
  }
  bool inject(uint8_t port, std::span<const uint8_t> frame) override {
    if (injected_.size() >= inject_max_) return false;
    injected_.emplace_back(port, Frame(frame.begin(), frame.end()));
    return true;
  }

  Status start(std::shared_ptr<const model::Snapshot>) override { return {}; }
  void stop() override {}
  void publish(std::shared_ptr<const model::Snapshot>) override {}
  size_t reclaim() override { return 0; }
  unsigned worker_count() const override { return 0; }
  dataplane::Acknowledgement acknowledgement(unsigned) const override { return {}; }
  const dataplane::WorkerCounters& counters(unsigned) const override { std::abort(); }
  void list_flows(const dataplane::FlowQuery&, std::function<void(dataplane::FlowPage)>) override {}
  void poll_replies() override { replies_waiting_ = 0; }

  int fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bool armed_ = false;
  std::deque<std::pair<uint8_t, Frame>> ring_;
  std::vector<std::pair<uint8_t, Frame>> injected_;
  size_t inject_max_ = 100'000;
  int replies_waiting_ = 0;
  int held_ = 0;
  int held_max_ = 0;
};

constexpr MacAddress mac_of(uint8_t port) { return {{0x02, 0, 0, 0, 0, port}}; }

Frame echo_request_arp(const char* target) {
  Frame frame(42, 0);
  std::fill_n(frame.begin(), 6, uint8_t{0xff});
  const uint8_t head[] = {0x02, 0, 0, 0, 0, 0x99, 0x08, 0x06, 0, 1, 0x08,
                          0,    6, 4, 0, 1, 0x02, 0,    0,    0, 0, 0x99};
  std::ranges::copy(head, frame.begin() + 6);
  std::ranges::copy_n(parse_ip("10.8.0.9")->bytes.begin(), 4, frame.begin() + 28);
  std::ranges::copy_n(parse_ip(target)->bytes.begin(), 4, frame.begin() + 38);
  return frame;
}

class SlowPathTest : public test::NetNamespaceTest {
 protected:
  void SetUp() override {
    NetNamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    loop_ = std::move(*EventLoop::create());
    auto slow_path = SlowPath::create(
        *loop_, engine_,
        {{.name = "tap-front", .mac = mac_of(1)}, {.name = "tap-back", .mac = mac_of(2)}});
    ASSERT_TRUE(slow_path) << slow_path.error().message;
    slow_path_ = std::move(*slow_path);
    ASSERT_TRUE(slow_path_->tap(0).set_addresses({*parse_prefix("10.8.0.1/24")}));
    ASSERT_TRUE(slow_path_->tap(1).set_addresses({*parse_prefix("10.9.0.1/24")}));
  }
  void TearDown() override {
    slow_path_.reset();
    loop_.reset();
  }
  bool answered(uint8_t port, const char* address) const {
    return std::ranges::any_of(engine_.injected_, [&](const auto& sent) {
      return sent.first == port && sent.second.size() >= 42 &&
             load_be16(&sent.second[12]) == 0x0806 && sent.second[21] == 2 &&
             load<uint32_t>(&sent.second[28]) == parse_ip(address)->v4_raw();
    });
  }

  RingEngine engine_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<SlowPath> slow_path_;
};

TEST_F(SlowPathTest, PuntedFramesReachTheKernelOfTheirPortAndAnswersComeBack) {
  engine_.punt(0, echo_request_arp("10.8.0.1"));
  ASSERT_TRUE(run_until(*loop_, [&] { return answered(0, "10.8.0.1"); }));
  // Asleep now: the eventfd has to wake it.
  run_for(*loop_, 20ms);
  EXPECT_TRUE(engine_.armed_);
  engine_.punt(1, echo_request_arp("10.9.0.1"));
  ASSERT_TRUE(run_until(*loop_, [&] { return answered(1, "10.9.0.1"); }));
  EXPECT_FALSE(answered(0, "10.9.0.1"));
  EXPECT_EQ(slow_path_->counters().punted, 2u);
  EXPECT_EQ(engine_.held_, 0);
  EXPECT_EQ(engine_.held_max_, 1) << "frames are given back at once";
}

TEST_F(SlowPathTest, ManyWakeUpsInARow) {
  for (int round = 0; round < 200; ++round) {
    engine_.punt(0, echo_request_arp("10.8.0.77"));
    const uint64_t expected = static_cast<uint64_t>(round) + 1;
    ASSERT_TRUE(run_until(*loop_, [&] { return slow_path_->counters().punted == expected; }));
  }
}

TEST_F(SlowPathTest, RepliesOfWorkersAreDelivered) {
  run_for(*loop_, 10ms);
  engine_.reply();
  ASSERT_TRUE(run_until(*loop_, [&] { return engine_.replies_waiting_ == 0; }, 1s));
  run_for(*loop_, 10ms);
  EXPECT_TRUE(engine_.armed_) << "asleep again";
}

TEST_F(SlowPathTest, AFloodIsCarriedInBoundedRounds) {
  constexpr size_t count = 10 * punts_per_round_max;
  for (size_t i = 0; i < count; ++i) engine_.punt(0, echo_request_arp("10.8.0.77"));
  size_t left_before = engine_.ring_.size();
  size_t largest_round = 0;
  ASSERT_TRUE(run_until(*loop_, [&] {
    largest_round = std::max(largest_round, left_before - engine_.ring_.size());
    left_before = engine_.ring_.size();
    return engine_.ring_.empty();
  }));
  // Between two looks of this test lie at most two rounds: an answer and a timer.
  EXPECT_LE(largest_round, 2 * punts_per_round_max);
  EXPECT_EQ(slow_path_->counters().punted, count);
  run_for(*loop_, 20ms);
  const TapCounters& tap = slow_path_->tap(0).counters();
  EXPECT_EQ(tap.to_kernel_frames + tap.to_kernel_dropped, count);
  EXPECT_EQ(engine_.held_, 0);
}

TEST_F(SlowPathTest, FullInjectRingIsCounted) {
  engine_.injected_.clear();
  engine_.inject_max_ = 0;
  const uint64_t before = slow_path_->counters().inject_dropped;
  engine_.punt(0, echo_request_arp("10.8.0.1"));
  ASSERT_TRUE(run_until(*loop_, [&] { return slow_path_->counters().inject_dropped > before; }));
  EXPECT_TRUE(engine_.injected_.empty());
}

TEST_F(SlowPathTest, FrameOfAnUnknownPortIsCountedAndGivenBack) {
  engine_.punt(9, echo_request_arp("10.8.0.1"));
  ASSERT_TRUE(run_until(*loop_, [&] { return slow_path_->counters().punted_no_port == 1; }));
  EXPECT_EQ(engine_.held_, 0);
}

TEST_F(SlowPathTest, KnowsItsInterfaces) {
  const auto ports = slow_path_->ports_by_ifindex();
  ASSERT_EQ(ports.size(), 2u);
  EXPECT_EQ(ports.at(slow_path_->tap(0).ifindex()), 0);
  EXPECT_EQ(ports.at(slow_path_->tap(1).ifindex()), 1);
}

TEST(TapAddresses, VirtualAddressesGoToThePortOfTheirNetwork) {
  const auto port = [](std::initializer_list<const char*> prefixes) {
    PortConfig config;
    for (const char* prefix : prefixes) config.addresses.push_back(*parse_prefix(prefix));
    return config;
  };
  const auto listener = [](const char* address) {
    ListenerConfig config;
    config.address = *parse_ip(address);
    return config;
  };
  const auto placed =
      tap_addresses({port({"10.0.0.2/24", "fd00:1::2/64"}), port({"10.0.1.2/24", "10.0.0.3/24"})},
                    {listener("10.0.1.100"), listener("10.0.0.100"), listener("fd00:1::100"),
                     listener("192.0.2.1"), listener("10.0.0.100"), listener("10.0.0.2")});
  const auto texts = [](const std::vector<Prefix>& prefixes) {
    std::vector<std::string> found;
    for (const Prefix& prefix : prefixes) found.push_back(to_string(prefix));
    return found;
  };
  ASSERT_EQ(placed.size(), 2u);
  EXPECT_EQ(texts(placed[0]),
            (std::vector<std::string>{"10.0.0.2/24", "fd00:1::2/64", "10.0.0.100/32",
                                      "fd00:1::100/128", "192.0.2.1/32"}));
  EXPECT_EQ(texts(placed[1]),
            (std::vector<std::string>{"10.0.1.2/24", "10.0.0.3/24", "10.0.1.100/32"}));
  EXPECT_TRUE(tap_addresses({}, {listener("10.0.0.1")}).empty());
}

}  // namespace
}  // namespace sluice::ctrl

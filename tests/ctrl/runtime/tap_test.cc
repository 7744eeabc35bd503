#include "ctrl/runtime/tap.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
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

constexpr MacAddress tap_mac{{0x02, 0, 0, 0, 0, 0x01}};
constexpr MacAddress far_mac{{0x02, 0, 0, 0, 0, 0x99}};

void append(Frame& frame, std::initializer_list<int> bytes) {
  for (const int byte : bytes) frame.push_back(static_cast<uint8_t>(byte));
}
template <typename Bytes>
void append(Frame& frame, const Bytes& bytes, size_t count) {
  frame.insert(frame.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
}

/// An ARP packet (RFC 826) from far_mac; operation 1 asks, 2 answers.
Frame arp(uint8_t operation, const char* sender, const char* target) {
  Frame frame;
  const MacAddress everybody{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
  append(frame, (operation == 1 ? everybody : tap_mac).bytes, 6);
  append(frame, far_mac.bytes, 6);
  append(frame, {0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, operation});
  append(frame, far_mac.bytes, 6);
  append(frame, parse_ip(sender)->bytes, 4);
  append(frame, tap_mac.bytes, operation == 1 ? 0 : 6);
  if (operation == 1) append(frame, {0, 0, 0, 0, 0, 0});
  append(frame, parse_ip(target)->bytes, 4);
  return frame;
}

bool is_arp(const Frame& frame, uint8_t operation, const char* target) {
  return frame.size() >= 42 && load_be16(&frame[12]) == 0x0806 && frame[21] == operation &&
         load<uint32_t>(&frame[38]) == parse_ip(target)->v4_raw();
}

/// One's complement sum over bytes (RFC 1071).
uint32_t sum16(const uint8_t* bytes, size_t count, uint32_t sum) {
  for (size_t i = 0; i + 1 < count; i += 2) sum += load_be16(bytes + i);
  if (count % 2 != 0) sum += uint32_t{bytes[count - 1]} << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

class TapTest : public test::NetNamespaceTest {
 protected:
  void SetUp() override {
    NetNamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    loop_ = std::move(*EventLoop::create());
    netlink_ = std::move(*NetlinkSocket::open());
  }
  void TearDown() override {
    tap_.reset();
    netlink_.reset();
    loop_.reset();
  }
  void create(const std::string& name = "tap-front", uint16_t mtu = 1500) {
    auto tap = TapDevice::create(*loop_, *netlink_, {.name = name, .mac = tap_mac, .mtu = mtu},
                                 [this](std::span<const uint8_t> frame) {
                                   frames_.emplace_back(frame.begin(), frame.end());
                                 });
    ASSERT_TRUE(tap) << tap.error().message;
    tap_ = std::move(*tap);
  }
  void set_addresses(std::initializer_list<const char*> texts) {
    std::vector<Prefix> addresses;
    for (const char* text : texts) addresses.push_back(*parse_prefix(text));
    const Status set = tap_->set_addresses(addresses);
    ASSERT_TRUE(set) << set.error().message;
  }
  bool saw(const std::function<bool(const Frame&)>& which) const {
    return std::ranges::any_of(frames_, which);
  }
  std::string addresses() const { return sh("ip -o address show dev tap-front"); }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<NetlinkSocket> netlink_;
  std::unique_ptr<TapDevice> tap_;
  std::vector<Frame> frames_;
};

TEST_F(TapTest, ComesUpWithMacAndMtuAndGoesWithTheObject) {
  create("tap-front", 1400);
  const std::string link = sh("ip -o link show dev tap-front");
  EXPECT_NE(link.find("02:00:00:00:00:01"), std::string::npos) << link;
  EXPECT_NE(link.find("mtu 1400"), std::string::npos) << link;
  EXPECT_NE(link.find(",UP"), std::string::npos) << link;
  EXPECT_GT(tap_->ifindex(), 0);
  tap_.reset();
  EXPECT_EQ(sh("ip -o link").find("tap-front"), std::string::npos);
  create();  // the name is free at once
}

TEST_F(TapTest, NameTakenOrTooLongIsToldClearly) {
  sh("ip link add tap-front type veth peer name other");
  const TapOptions options{.name = "tap-front", .mac = tap_mac};
  const auto taken = TapDevice::create(*loop_, *netlink_, options, [](auto) {});
  ASSERT_FALSE(taken);
  EXPECT_TRUE(taken.error().message.starts_with("TAP tap-front: ")) << taken.error().message;
  // A TAP that somebody keeps there is theirs, too.
  sh("ip tuntap add dev tap-back mode tap");
  const auto kept = TapDevice::create(*loop_, *netlink_, {.name = "tap-back", .mac = tap_mac}, {});
  ASSERT_FALSE(kept);
  EXPECT_TRUE(kept.error().message.starts_with("TAP tap-back: ")) << kept.error().message;
  const auto long_name =
      TapDevice::create(*loop_, *netlink_, {.name = "tap-0123456789abc", .mac = tap_mac}, {});
  ASSERT_FALSE(long_name);
  EXPECT_EQ(long_name.error().message, "TAP \"tap-0123456789abc\": a name has 1 to 15 characters");
}

TEST_F(TapTest, SecondDeviceOfTheSameNameIsRefused) {
  create();
  const auto second =
      TapDevice::create(*loop_, *netlink_, {.name = "tap-front", .mac = tap_mac}, {});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("is another sluiced running?"), std::string::npos)
      << second.error().message;
}

TEST_F(TapTest, FramesFlowBothWays) {
  create();
  set_addresses({"10.8.0.1/24"});
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(7);
  ::inet_pton(AF_INET, "10.8.0.2", &to.sin_addr);
  const std::string text = "through the slow path, odd";
  ASSERT_EQ(::sendto(fd, text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
            static_cast<ssize_t>(text.size()));
  const auto asks = [](const Frame& frame) { return is_arp(frame, 1, "10.8.0.2"); };
  ASSERT_TRUE(run_until(*loop_, [&] { return saw(asks); }));
  ASSERT_TRUE(tap_->write(arp(2, "10.8.0.2", "10.8.0.1")));
  const auto is_udp = [](const Frame& frame) {
    return frame.size() > 42 && load_be16(&frame[12]) == 0x0800 && frame[23] == 17 &&
           load_be16(&frame[36]) == 7;
  };
  ASSERT_TRUE(run_until(*loop_, [&] { return saw(is_udp); }));
  const Frame datagram = *std::ranges::find_if(frames_, is_udp);
  EXPECT_EQ(load<MacAddress>(&datagram[0]), far_mac);
  EXPECT_EQ(load<MacAddress>(&datagram[6]), tap_mac);
  EXPECT_EQ(std::string(datagram.begin() + 42, datagram.end()), text);
  // The kernel's checksums are whole, not left to a device.
  const size_t udp_bytes = datagram.size() - 34;
  EXPECT_EQ(sum16(&datagram[14], 20, 0), 0xffffu);
  const uint32_t pseudo = sum16(&datagram[26], 8, static_cast<uint32_t>(17 + udp_bytes));
  EXPECT_EQ(sum16(&datagram[34], udp_bytes, pseudo), 0xffffu);
  EXPECT_GE(tap_->counters().from_kernel_frames, 2u);
  EXPECT_EQ(tap_->counters().to_kernel_frames, 1u);
  EXPECT_EQ(tap_->counters().to_kernel_bytes, 42u);
  ::close(fd);
}

TEST_F(TapTest, AnswersArpForItsOwnAndVirtualAddressesOnly) {
  create();
  set_addresses({"10.8.0.1/24", "10.8.0.100/32"});
  sh("ip address add 10.77.0.1/24 dev lo");
  for (const char* target : {"10.8.0.1", "10.8.0.100", "10.77.0.1"}) {
    ASSERT_TRUE(tap_->write(arp(1, "10.8.0.2", target)));
  }
  const auto answer_from = [&](const char* address) {
    return saw([&](const Frame& frame) {
      return frame.size() >= 42 && load_be16(&frame[12]) == 0x0806 && frame[21] == 2 &&
             load<uint32_t>(&frame[28]) == parse_ip(address)->v4_raw();
    });
  };
  ASSERT_TRUE(
      run_until(*loop_, [&] { return answer_from("10.8.0.1") && answer_from("10.8.0.100"); }));
  run_for(*loop_, 50ms);
  EXPECT_FALSE(answer_from("10.77.0.1")) << "an address of another interface";
}

TEST_F(TapTest, AddressesAreSetByDifference) {
  create();
  sh("ip address add 10.66.0.1/24 dev tap-front");  // an operator's own
  set_addresses({"10.8.0.1/24", "10.8.0.7/24", "10.8.0.100/32", "fd08::1/64", "fd08::100/128"});
  // The kernel's own link-local address comes by a work queue, and without DAD.
  ASSERT_TRUE(
      run_until(*loop_, [&] { return addresses().find("tentative") == std::string::npos; }, 500ms));
  std::string now = addresses();
  for (const char* expected : {" 10.8.0.1/24", " 10.8.0.7/24", " 10.8.0.100/32", " fd08::1/64",
                               " fd08::100/128", " fe80::ff:fe00:1/64", " 10.66.0.1/24"}) {
    EXPECT_NE(now.find(expected), std::string::npos) << expected << " in " << now;
  }
  set_addresses({"10.8.0.1/24", "10.8.0.7/24", "10.8.0.100/32", "fd08::1/64", "fd08::100/128"});
  EXPECT_EQ(addresses(), now) << "the same again changes nothing";

  set_addresses({"10.8.0.7/24", "fd08::1/64", "10.8.0.101/32"});
  now = addresses();
  for (const char* expected :
       {" 10.8.0.7/24", " fd08::1/64", " 10.8.0.101/32", " fe80::ff:fe00:1/64", " 10.66.0.1/24"}) {
    EXPECT_NE(now.find(expected), std::string::npos) << expected << " in " << now;
  }
  for (const char* gone : {" 10.8.0.1/24", " 10.8.0.100/32", " fd08::100/128"}) {
    EXPECT_EQ(now.find(gone), std::string::npos) << gone << " in " << now;
  }
}

TEST_F(TapTest, VirtualAddressIsNeverPickedAsSource) {
  create();
  set_addresses({"fd08::1/64", "fd08::ff01/128", "10.8.0.1/24", "10.8.0.100/32"});
  // Next to the virtual address by prefix, which is what source selection would go by.
  EXPECT_NE(sh("ip -6 route get fd08::ff02").find("src fd08::1 "), std::string::npos);
  EXPECT_NE(sh("ip route get 10.8.0.101").find("src 10.8.0.1 "), std::string::npos);
}

TEST_F(TapTest, AnAddressThatTheKernelRefusesIsNamedAndTheRestIsSet) {
  create();
  const Status set =
      tap_->set_addresses({*parse_prefix("ff02::1/128"), *parse_prefix("10.8.0.1/24")});
  ASSERT_FALSE(set);
  EXPECT_TRUE(
      set.error().message.starts_with("interface tap-front: cannot add address ff02::1/128"))
      << set.error().message;
  EXPECT_NE(addresses().find("10.8.0.1/24"), std::string::npos);
}

TEST_F(TapTest, WritesAreBoundedAndDropsCounted) {
  create();
  const Frame frame = arp(1, "10.8.0.2", "10.8.0.3");
  size_t accepted = 0;
  for (int i = 0; i < 2'000; ++i) accepted += tap_->write(frame);
  EXPECT_EQ(accepted, tap_writes_in_flight_max);
  EXPECT_EQ(tap_->counters().to_kernel_dropped, 2'000 - accepted);
  ASSERT_TRUE(run_until(*loop_, [&] { return tap_->counters().to_kernel_frames == accepted; }));
  EXPECT_TRUE(tap_->write(frame)) << "there is room again";

  const uint64_t dropped = tap_->counters().to_kernel_dropped;
  EXPECT_TRUE(tap_->write(Frame(1514, 0)));
  EXPECT_FALSE(tap_->write(Frame(9000, 0)));
  EXPECT_EQ(tap_->counters().to_kernel_dropped, dropped + 1);
}

TEST_F(TapTest, DeviceTakenDownRefusesFramesAndComesBack) {
  create();
  sh("ip link set tap-front down");
  const Frame frame = arp(1, "10.8.0.2", "10.8.0.3");
  ASSERT_TRUE(tap_->write(frame));
  ASSERT_TRUE(run_until(*loop_, [&] { return tap_->counters().errors == 1; }));
  sh("ip link set tap-front up");
  ASSERT_TRUE(tap_->write(frame));
  ASSERT_TRUE(run_until(*loop_, [&] { return tap_->counters().to_kernel_frames == 1; }));
}

TEST_F(TapTest, DestructionWithFramesUnderWay) {
  create();
  set_addresses({"10.8.0.1/24"});
  run_for(*loop_, 10ms);
  for (int i = 0; i < 100; ++i) tap_->write(arp(1, "10.8.0.2", "10.8.0.1"));
  tap_.reset();
  run_for(*loop_, 20ms);
  const size_t seen = frames_.size();
  run_for(*loop_, 20ms);
  EXPECT_EQ(frames_.size(), seen);
}

}  // namespace
}  // namespace sluice::ctrl

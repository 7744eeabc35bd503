// AF_PACKET and TAP devices: frames both ways, and the fds that announce them.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <numeric>

#include "tests/nic/support.h"

namespace sluice::nic {
namespace {

using namespace test;

const bool registered = (use_eal(true), true);

std::vector<int64_t> iota(size_t count) {
  std::vector<int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

bool wait_for_frames(const RxQueue& queue, int timeout_ms) {
  pollfd waiting{queue.wait_fd, POLLIN, 0};
  return poll(&waiting, 1, timeout_ms) == 1 && (waiting.revents & POLLIN) != 0;
}

TEST(AfPacket, FramesArriveBothWays) {
  const Veth veth("pa");
  const FarEnd far(veth.far());
  auto set = open_ports({{"front", "af_packet:pa", 0}});
  ASSERT_NE(set, nullptr);
  const PortInfo& info = set->ports().at(0);
  EXPECT_EQ(info.driver, "net_af_packet");
  EXPECT_TRUE(info.sleeps_on_fd);
  const WorkerPorts& ports = dpdk_ports(*set).worker_ports(0);
  EXPECT_FALSE(wait_for_frames(ports.rx[0], 50));
  for (uint32_t i = 0; i < 100; ++i) far.send(make_frame(i, 64 + i * 14, 0, false));
  EXPECT_TRUE(wait_for_frames(ports.rx[0], 2000));
  EXPECT_EQ(receive_sequences(ports.rx[0], 100, 2000), iota(100));
  EXPECT_FALSE(wait_for_frames(ports.rx[0], 0));

  const std::vector<uint8_t> sent = make_frame(9, 1514, 0, false);
  rte_mbuf* frame = make_mbuf(ports.pool, sent);
  ASSERT_EQ(tx_burst(ports.tx[0], &frame, 1), 1);
  EXPECT_EQ(far.receive(2000), sent);
  EXPECT_EQ(set->statistics(0).rx_packets, 100u);
}

TEST(AfPacket, EachFdAnnouncesItsOwnQueue) {
  const Veth veth("pa");
  const FarEnd far(veth.far());
  auto set = open_ports({{"front", "af_packet:pa", 0}}, 2);
  ASSERT_NE(set, nullptr);
  EXPECT_EQ(set->ports().at(0).queues, 2u);
  std::array<unsigned, 2> seen{};
  for (uint32_t i = 0; i < 32; ++i) {
    far.send(make_frame(i, 100, static_cast<uint16_t>(i * 7)));
    for (unsigned w = 0; w < 2; ++w) {
      const RxQueue& queue = dpdk_ports(*set).worker_ports(w).rx[0];
      const bool readable = wait_for_frames(queue, 20);
      EXPECT_EQ(receive_sequences(queue, 1, 20).size(), readable ? 1u : 0u) << i << ' ' << w;
      if (readable) ++seen[w];
    }
  }
  EXPECT_EQ(seen[0] + seen[1], 32u);
  EXPECT_GT(seen[0], 0u);
  EXPECT_GT(seen[1], 0u);
}

TEST(AfPacket, LargeMtu) {
  const Veth veth("pa", 1, 9000);
  const FarEnd far(veth.far());
  auto set = open_ports({{"front", "af_packet:pa", 0}});
  ASSERT_NE(set, nullptr);
  const WorkerPorts& ports = dpdk_ports(*set).worker_ports(0);
  for (uint32_t i = 0; i < 10; ++i) far.send(make_frame(i, 9014, 0, false));
  EXPECT_EQ(receive_sequences(ports.rx[0], 10, 2000), iota(10));
  const std::vector<uint8_t> sent = make_frame(3, 9014, 0, false);
  rte_mbuf* frame = make_mbuf(ports.pool, sent);
  ASSERT_EQ(tx_burst(ports.tx[0], &frame, 1), 1);
  EXPECT_EQ(far.receive(2000), sent);
}

TEST(AfPacket, SaysWhatIsWrong) {
  const Veth veth("pa");
  EXPECT_EQ(open_error({{"front", "af_packet:nope", 0}}),
            "port front: af_packet:nope: no such interface");
  EXPECT_EQ(open_error({{"front", "af_packet:pa", 17}}),
            "port front: af_packet:pa: queues = 17, but AF_PACKET has at most 16");
  EXPECT_EQ(open_error({{"front", "af_packet:pa", 0}, {"back", "af_xdp:pa", 0}}),
            "port back: af_xdp:pa: interface pa is port front's already");
  EXPECT_EQ(open_error({{"front", "af_packet:pa,framesz=999999", 0}})
                .rfind("port front: af_packet:pa,framesz=999999: the driver refuses it: ", 0),
            0u);
}

TEST(Tap, QueuesHaveFds) {
  auto set = open_ports({{"front", "net_tap_t,iface=nictap", 2}}, 2);
  ASSERT_NE(set, nullptr);
  EXPECT_TRUE(set->ports().at(0).sleeps_on_fd);
  run("ip link set nictap up");
  const FarEnd far("nictap");
  far.send(make_frame(5, 100));
  std::vector<int64_t> got;
  unsigned readable = 0;
  for (unsigned w = 0; w < 2; ++w) {
    const RxQueue& queue = dpdk_ports(*set).worker_ports(w).rx[0];
    if (wait_for_frames(queue, 200)) ++readable;
    for (const int64_t sequence : receive_sequences(queue, 1, 200)) got.push_back(sequence);
  }
  EXPECT_EQ(readable, 1u);
  EXPECT_EQ(got, std::vector<int64_t>{5});
  rte_mbuf* frame = make_mbuf(dpdk_ports(*set).pool(0), make_frame(6, 100));
  ASSERT_EQ(tx_burst(dpdk_ports(*set).worker_ports(1).tx[0], &frame, 1), 1);
  EXPECT_EQ(sequence_of(far.receive(2000)), 6);
}

}  // namespace
}  // namespace sluice::nic

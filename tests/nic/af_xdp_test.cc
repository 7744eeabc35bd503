// AF_XDP on veth pairs: frames both ways, several queues, sleeping on the queue's fd, large MTU,
// and what is said when the interface does not fit.
#include <poll.h>
#include <rte_mempool.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <numeric>
#include <thread>

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

uint64_t thread_cpu_us() {
  timespec spent{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<uint64_t>(spent.tv_sec) * 1'000'000 +
         static_cast<uint64_t>(spent.tv_nsec) / 1000;
}

/// Waits on the queue's fd; true when it became readable.
bool wait_for_frames(const RxQueue& queue, int timeout_ms) {
  pollfd waiting{queue.wait_fd, POLLIN, 0};
  return poll(&waiting, 1, timeout_ms) == 1 && (waiting.revents & POLLIN) != 0;
}

TEST(AfXdp, FramesArriveBothWays) {
  const Veth veth("xa");
  const FarEnd far(veth.far());
  auto set = open_ports({{"front", "af_xdp:xa", 0}});
  ASSERT_NE(set, nullptr);
  const WorkerPorts& ports = dpdk_ports(*set).worker_ports(0);
  ASSERT_EQ(ports.rx.size(), 1u);

  for (uint32_t i = 0; i < 100; ++i) far.send(make_frame(i, 64 + i * 14));
  EXPECT_EQ(receive_sequences(ports.rx[0], 100, 2000), iota(100));

  std::vector<uint8_t> sent = make_frame(7, 1514);
  rte_mbuf* frame = make_mbuf(ports.pool, sent);
  ASSERT_EQ(tx_burst(ports.tx[0], &frame, 1), 1);
  EXPECT_EQ(far.receive(2000), sent);

  const DeviceStats stats = set->statistics(0);
  EXPECT_EQ(stats.rx_packets, 100u);
  EXPECT_EQ(stats.tx_packets, 1u);
  EXPECT_EQ(stats.rx_missed, 0u);
  EXPECT_TRUE(stats.link_up);
}

TEST(AfXdp, DescribesItself) {
  const Veth veth("xa", 1, 1400);
  auto set = open_ports({{"front", "af_xdp:xa", 0}});
  ASSERT_NE(set, nullptr);
  const PortInfo& info = set->ports().at(0);
  EXPECT_EQ(info.name, "front");
  EXPECT_EQ(info.driver, "net_af_xdp");
  EXPECT_EQ(info.mtu, 1400);
  EXPECT_EQ(info.queues, 1u);
  EXPECT_TRUE(info.sleeps_on_fd);
  EXPECT_NE(info.mac, MacAddress{});
  EXPECT_EQ(info.mac.bytes[0] & 1, 0);
}

TEST(AfXdp, OneQueueOfEachEthdevPerInterfaceQueue) {
  const Veth veth("xa", 2);
  const FarEnd far(veth.far());
  auto set = open_ports({{"front", "af_xdp:xa", 2}}, 2);
  ASSERT_NE(set, nullptr);
  EXPECT_EQ(set->ports().at(0).queues, 2u);
  const WorkerPorts& first = dpdk_ports(*set).worker_ports(0);
  const WorkerPorts& second = dpdk_ports(*set).worker_ports(1);
  ASSERT_EQ(first.rx.size(), 1u);
  ASSERT_EQ(second.rx.size(), 1u);
  EXPECT_NE(first.rx[0].device.ethdev, second.rx[0].device.ethdev);
  EXPECT_NE(first.rx[0].wait_fd, second.rx[0].wait_fd);

  // The sender's kernel spreads flows over the queues: 64 flows come through both, none is lost.
  for (uint32_t i = 0; i < 64; ++i) far.send(make_frame(i, 100, static_cast<uint16_t>(i)));
  ASSERT_TRUE(wait_for_frames(first.rx[0], 2000));
  ASSERT_TRUE(wait_for_frames(second.rx[0], 2000));
  std::vector<int64_t> all = receive_sequences(first.rx[0], 64, 300);
  const std::vector<int64_t> others = receive_sequences(second.rx[0], 64 - all.size(), 2000);
  EXPECT_FALSE(all.empty());
  EXPECT_FALSE(others.empty());
  all.insert(all.end(), others.begin(), others.end());
  std::ranges::sort(all);
  EXPECT_EQ(all, iota(64));

  // A drained queue's fd sleeps while the other one's wakes: the fds belong to their queues.
  EXPECT_FALSE(wait_for_frames(first.rx[0], 0));
  EXPECT_FALSE(wait_for_frames(second.rx[0], 0));
  for (const WorkerPorts* worker : {&first, &second}) {
    ASSERT_TRUE(worker->owns_tx(0));
    rte_mbuf* frame = make_mbuf(worker->pool, make_frame(worker->worker, 200));
    ASSERT_EQ(tx_burst(worker->tx[0], &frame, 1), 1);
    EXPECT_EQ(sequence_of(far.receive(2000)), worker->worker);
  }
}

TEST(AfXdp, EachFdAnnouncesItsOwnQueue) {
  const Veth veth("xa", 2);
  const FarEnd far(veth.far());
  auto set = open_ports({{"front", "af_xdp:xa", 0}}, 2);
  ASSERT_NE(set, nullptr);
  std::array<unsigned, 2> seen{};
  for (uint32_t i = 0; i < 32; ++i) {
    far.send(make_frame(i, 100, static_cast<uint16_t>(i * 7)));
    std::array<bool, 2> readable{};
    for (int round = 0; round < 100 && !readable[0] && !readable[1]; ++round) {
      for (unsigned w = 0; w < 2; ++w) {
        readable[w] = wait_for_frames(dpdk_ports(*set).worker_ports(w).rx[0], 1);
      }
    }
    for (unsigned w = 0; w < 2; ++w) {
      const auto got = receive_sequences(dpdk_ports(*set).worker_ports(w).rx[0], 1, 20);
      EXPECT_EQ(got.size(), readable[w] ? 1u : 0u) << "frame " << i << " queue " << w;
      seen[w] += static_cast<unsigned>(got.size());
    }
  }
  EXPECT_EQ(seen[0] + seen[1], 32u);
  EXPECT_GT(seen[0], 0u);
  EXPECT_GT(seen[1], 0u);
}

TEST(AfXdp, WorkersWithoutATxQueueKnowWhoHasOne) {
  const Veth veth("xa");
  auto set = open_ports({{"front", "af_xdp:xa", 0}}, 2);
  ASSERT_NE(set, nullptr);
  const WorkerPorts& second = dpdk_ports(*set).worker_ports(1);
  EXPECT_TRUE(second.rx.empty());
  EXPECT_TRUE(second.sleeps_on_fds);  // on nothing but its wake-up
  EXPECT_FALSE(second.owns_tx(0));
  EXPECT_EQ(second.tx[0].owner, 0);
  EXPECT_TRUE(dpdk_ports(*set).worker_ports(0).owns_tx(0));
}

TEST(AfXdp, FewWorkersPollAllQueues) {
  const Veth veth("xa", 3);
  auto set = open_ports({{"front", "af_xdp:xa", 0}}, 2);
  ASSERT_NE(set, nullptr);
  EXPECT_EQ(set->ports().at(0).queues, 3u);
  EXPECT_EQ(dpdk_ports(*set).worker_ports(0).rx.size(), 2u);
  EXPECT_EQ(dpdk_ports(*set).worker_ports(1).rx.size(), 1u);
}

TEST(AfXdp, SleepingCostsNothing) {
  const Veth veth("xa");
  auto set = open_ports({{"front", "af_xdp:xa", 0}});
  ASSERT_NE(set, nullptr);
  const RxQueue& queue = dpdk_ports(*set).worker_ports(0).rx[0];
  (void)receive_sequences(queue, 1, 50);
  const uint64_t before = thread_cpu_us();
  EXPECT_FALSE(wait_for_frames(queue, 500));
  EXPECT_LT(thread_cpu_us() - before, 5000u);
}

TEST(AfXdp, NothingIsLostAroundSleeps) {
  const Veth veth("xa");
  const FarEnd far(veth.far());
  auto set = open_ports({{"front", "af_xdp:xa", 0}});
  ASSERT_NE(set, nullptr);
  const RxQueue& queue = dpdk_ports(*set).worker_ports(0).rx[0];
  constexpr size_t frames_sent = 20'000;
  std::thread sender([&] {
    for (uint32_t i = 0; i < frames_sent; ++i) {
      far.send(make_frame(i, 128));
      if (i % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  std::vector<int64_t> received;
  unsigned sleeps = 0;
  unsigned timeouts = 0;
  std::array<rte_mbuf*, 32> frames{};
  while (received.size() < frames_sent && timeouts < 3) {
    const uint16_t got = rx_burst(queue, frames.data(), frames.size());
    for (uint16_t i = 0; i < got; ++i) {
      received.push_back(sequence_of(bytes_of(frames[i])));
      rte_pktmbuf_free(frames[i]);
    }
    if (got != 0) continue;
    ++sleeps;
    if (!wait_for_frames(queue, 1000)) ++timeouts;
  }
  sender.join();
  EXPECT_EQ(received, iota(frames_sent));
  EXPECT_GE(sleeps, 100u);
  EXPECT_EQ(set->statistics(0).rx_missed, 0u);
}

TEST(AfXdp, SentBuffersComeBack) {
  const Veth veth("xa");
  const FarEnd far(veth.far());
  auto set = open_ports({{"front", "af_xdp:xa", 0}});
  ASSERT_NE(set, nullptr);
  const WorkerPorts& ports = dpdk_ports(*set).worker_ports(0);
  const unsigned free_before = rte_mempool_avail_count(ports.pool);
  constexpr uint32_t frames_sent = 30'000;  // several times the rings and the whole pool
  std::array<rte_mbuf*, 32> burst{};
  uint32_t sent = 0;
  while (sent < frames_sent) {
    for (size_t i = 0; i < burst.size(); ++i) {
      burst[i] = make_mbuf(ports.pool, make_frame(sent + static_cast<uint32_t>(i), 60));
    }
    for (uint16_t done = 0; done < burst.size();) {
      done = static_cast<uint16_t>(done + tx_burst(ports.tx[0], burst.data() + done,
                                                   static_cast<uint16_t>(burst.size() - done)));
    }
    sent += static_cast<uint32_t>(burst.size());
    for (size_t i = 0; i < burst.size(); ++i) ASSERT_GE(sequence_of(far.receive(1000)), 0);
  }
  // The driver takes sent buffers back when half of its completion ring is full.
  EXPECT_GE(rte_mempool_avail_count(ports.pool) + 2048 + 64, free_before);
  EXPECT_EQ(set->statistics(0).tx_errors, 0u);
}

TEST(AfXdp, LargestMtu) {
  const Veth veth("xa", 1, 3506);
  const FarEnd far(veth.far());
  auto set = open_ports({{"front", "af_xdp:xa", 0}});
  ASSERT_NE(set, nullptr);
  const WorkerPorts& ports = dpdk_ports(*set).worker_ports(0);
  for (uint32_t i = 0; i < 10; ++i) far.send(make_frame(i, 3506 + 14));
  EXPECT_EQ(receive_sequences(ports.rx[0], 10, 2000), iota(10));
  const std::vector<uint8_t> sent = make_frame(3, 3506 + 14);
  rte_mbuf* frame = make_mbuf(ports.pool, sent);
  ASSERT_EQ(tx_burst(ports.tx[0], &frame, 1), 1);
  EXPECT_EQ(far.receive(2000), sent);
}

TEST(AfXdp, TwoPortsForwardWithoutCopies) {
  const Veth left("xa");
  const Veth right("xb");
  const FarEnd far_left(left.far());
  const FarEnd far_right(right.far());
  auto set = open_ports({{"front", "af_xdp:xa", 0}, {"back", "af_xdp:xb", 0}});
  ASSERT_NE(set, nullptr);
  const WorkerPorts& ports = dpdk_ports(*set).worker_ports(0);
  ASSERT_EQ(ports.rx.size(), 2u);
  const std::vector<uint8_t> sent = make_frame(42, 300);
  far_left.send(sent);
  rte_mbuf* frame = nullptr;
  const uint64_t until = now_ms() + 2000;
  while (rx_burst(ports.rx[0], &frame, 1) == 0 && now_ms() < until) {
  }
  ASSERT_NE(frame, nullptr);
  ASSERT_EQ(tx_burst(ports.tx[1], &frame, 1), 1);
  EXPECT_EQ(far_right.receive(2000), sent);
}

TEST(AfXdp, OpensAgainAfterClose) {
  const Veth veth("xa");
  const FarEnd far(veth.far());
  for (uint32_t round = 0; round < 3; ++round) {
    auto set = open_ports({{"front", "af_xdp:xa", 0}});
    ASSERT_NE(set, nullptr);
    far.send(make_frame(round, 64));
    EXPECT_EQ(receive_sequences(dpdk_ports(*set).worker_ports(0).rx[0], 1, 2000),
              std::vector<int64_t>{round});
    set->close();
  }
}

TEST(AfXdp, SaysWhatIsWrong) {
  const Veth veth("xa", 2);
  EXPECT_EQ(open_error({{"front", "af_xdp:nope", 0}}),
            "port front: af_xdp:nope: no such interface");
  EXPECT_EQ(open_error({{"front", "af_xdp:xa", 4}}),
            "port front: af_xdp:xa: queues = 4, but the interface has 2");
  EXPECT_EQ(open_error({{"front", "af_xdp:xa", 1}}),
            "port front: af_xdp:xa: queues = 1, but the interface has 2 and the kernel would keep "
            "what comes to the others; set queues = 2");
  EXPECT_EQ(open_error({{"front", "af_xdp:xa", 0}, {"back", "af_xdp:xa", 0}}),
            "port back: af_xdp:xa: interface xa is port front's already");
  run("ip link set dev xa mtu 3507");
  EXPECT_EQ(open_error({{"front", "af_xdp:xa", 0}}),
            "port front: af_xdp:xa: MTU 3507 is too large for AF_XDP, which takes 3506; run: ip "
            "link set dev xa mtu 3506");
  run("ip link set dev xa mtu 1500 && ip link set dev xa down");
  EXPECT_EQ(open_error({{"front", "af_xdp:xa", 0}}),
            "port front: af_xdp:xa: the interface is down; run: ip link set dev xa up");
}

TEST(AfXdp, AQueueThatIsTakenIsAnError) {
  const Veth veth("xa");
  auto set = open_ports({{"front", "af_xdp:xa", 0}});
  ASSERT_NE(set, nullptr);
  // A second device on the same queue, as another process would ask for it.
  const std::string error = open_error({{"other", "net_af_xdp_x,iface=xa", 0}});
  EXPECT_TRUE(error.starts_with("port other: net_af_xdp_x,iface=xa: cannot set up RX queue 0: "))
      << error;
}

}  // namespace
}  // namespace sluice::nic

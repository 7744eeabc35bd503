// Devices without a kernel interface: null, ring, pcap, memif; RSS read back from the null device;
// which worker polls and sends where; and what is said about wrong device strings.
#include <rte_mempool.h>
#include <rte_ring.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "nic/buffer_pool.h"
#include "tests/nic/support.h"

namespace sluice::nic {
namespace {

using namespace test;

const bool registered = (use_eal(false), true);

/// A directory that goes away with the test.
class Scratch {
 public:
  Scratch() : path_(std::filesystem::temp_directory_path() / ("nic-" + std::to_string(getpid()))) {
    std::filesystem::create_directory(path_);
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

void write_pcap(const std::string& path, uint32_t packets) {
  std::ofstream file(path, std::ios::binary);
  const auto put = [&](uint32_t value) {
    file.write(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  for (const uint32_t word : {0xa1b2c3d4u, 0x00040002u, 0u, 0u, 65535u, 1u}) put(word);
  for (uint32_t i = 0; i < packets; ++i) {
    const std::vector<uint8_t> frame = make_frame(i, 64);
    for (const uint32_t word : {0u, i, 64u, 64u}) put(word);
    file.write(reinterpret_cast<const char*>(frame.data()), 64);
  }
}

TEST(Null, GivesFramesAndTakesThem) {
  auto set = open_ports({{"source", "null", 0}, {"sink", "null,no-rx=1", 0}});
  ASSERT_NE(set, nullptr);
  const WorkerPorts& ports = dpdk_ports(*set).worker_ports(0);
  ASSERT_EQ(ports.rx.size(), 2u);
  EXPECT_EQ(ports.port_count, 2);
  EXPECT_FALSE(ports.sleeps_on_fds);
  std::array<rte_mbuf*, 32> frames{};
  ASSERT_EQ(rx_burst(ports.rx[0], frames.data(), 32), 32);
  ASSERT_EQ(tx_burst(ports.tx[1], frames.data(), 32), 32);
  EXPECT_EQ(rx_burst(ports.rx[1], frames.data(), 32), 0);
  EXPECT_EQ(set->statistics(0).rx_packets, 32u);
  EXPECT_EQ(set->statistics(1).tx_packets, 32u);
  EXPECT_FALSE(bad_l4_checksum(*frames[0]) || bad_ipv4_checksum(*frames[0]));
}

TEST(Null, SpreadsQueuesOverWorkers) {
  auto set = open_ports({{"front", "null", 5}, {"back", "null", 2}}, 3);
  ASSERT_NE(set, nullptr);
  std::array<size_t, 3> polled{};
  for (unsigned w = 0; w < 3; ++w) {
    const WorkerPorts& ports = dpdk_ports(*set).worker_ports(w);
    polled[w] = ports.rx.size();
    for (const RxQueue& queue : ports.rx) EXPECT_EQ(queue.device.queue % 3, w);
    EXPECT_TRUE(ports.owns_tx(0));
    EXPECT_EQ(ports.tx[0].device.queue, w);
    EXPECT_NE(ports.pool, nullptr);
  }
  EXPECT_EQ(polled, (std::array<size_t, 3>{3, 3, 1}));
  EXPECT_TRUE(dpdk_ports(*set).worker_ports(1).owns_tx(1));
  EXPECT_FALSE(dpdk_ports(*set).worker_ports(2).owns_tx(1));
  EXPECT_EQ(dpdk_ports(*set).worker_ports(2).tx[1].owner, 0);
}

TEST(Null, RssIsProgrammedAndReadBack) {
  auto set = open_ports({{"front", "null", 0}}, 4);
  ASSERT_NE(set, nullptr);
  const RssState& rss = set->ports().at(0).rss;
  ASSERT_TRUE(rss.present);
  EXPECT_EQ(rss.key, rss_key);
  ASSERT_EQ(rss.reta.size(), 128u);
  for (unsigned slot = 0; slot < 128; ++slot) EXPECT_EQ(rss.reta[slot], slot % 4) << slot;
}

TEST(Ring, CarriesFramesBothWays) {
  auto set = open_ports({{"front", "ring:wire", 0}}, 2);
  ASSERT_NE(set, nullptr);
  EXPECT_NE(set->ports().at(0).mac, MacAddress{});
  for (unsigned w = 0; w < 2; ++w) {
    const WorkerPorts& ports = dpdk_ports(*set).worker_ports(w);
    rte_ring* rx = ring_port_rx("wire", w);
    rte_ring* tx = ring_port_tx("wire", w);
    ASSERT_NE(rx, nullptr);
    ASSERT_NE(tx, nullptr);
    ASSERT_EQ(rte_ring_enqueue(rx, make_mbuf(ports.pool, make_frame(w, 80))), 0);
    rte_mbuf* frame = nullptr;
    ASSERT_EQ(rx_burst(ports.rx[0], &frame, 1), 1);
    EXPECT_EQ(sequence_of(bytes_of(frame)), w);
    ASSERT_EQ(tx_burst(ports.tx[0], &frame, 1), 1);
    void* sent = nullptr;
    ASSERT_EQ(rte_ring_dequeue(tx, &sent), 0);
    EXPECT_EQ(sent, frame);
    rte_pktmbuf_free(frame);
  }
  // What still lies in a ring goes back to the pool when the port closes.
  const WorkerPorts& ports = dpdk_ports(*set).worker_ports(0);
  ASSERT_EQ(rte_ring_enqueue(ring_port_rx("wire", 0), make_mbuf(ports.pool, make_frame(1, 80))), 0);
  set->close();
  EXPECT_EQ(ring_port_rx("wire", 0), nullptr);
}

TEST(Pcap, ReplaysAFile) {
  const Scratch scratch;
  write_pcap(scratch.file("p.pcap"), 10);
  auto set = open_ports({{"front", "pcap:" + scratch.file("p.pcap"), 0}});
  ASSERT_NE(set, nullptr);
  const RxQueue& queue = dpdk_ports(*set).worker_ports(0).rx[0];
  EXPECT_EQ(receive_sequences(queue, 11, 100).size(), 10u);
}

TEST(Pcap, RepeatsAFileFromBuffersOfItsOwn) {
  const Scratch scratch;
  constexpr uint32_t packets = 9000;  // more than the pool would have without counting them
  write_pcap(scratch.file("p.pcap"), packets);
  auto set = open_ports({{"front", "pcap:" + scratch.file("p.pcap") + ",infinite_rx=1", 0}});
  ASSERT_NE(set, nullptr);
  const RxQueue& queue = dpdk_ports(*set).worker_ports(0).rx[0];
  const std::vector<int64_t> got = receive_sequences(queue, 2 * packets + 100, 5000);
  ASSERT_GE(got.size(), 2 * packets);
  for (size_t i = 0; i < 2 * packets; ++i) ASSERT_EQ(got[i], static_cast<int64_t>(i % packets));
}

TEST(Memif, TwoPortsTalk) {
  const Scratch scratch;
  const std::string socket = "memif:" + scratch.file("m.sock");
  auto set =
      open_ports({{"left", socket + ",role=server", 0}, {"right", socket + ",role=client", 0}});
  ASSERT_NE(set, nullptr);
  const WorkerPorts& ports = dpdk_ports(*set).worker_ports(0);
  const uint64_t until = now_ms() + 5000;
  while (!(set->statistics(0).link_up && set->statistics(1).link_up) && now_ms() < until) {
    usleep(10'000);
  }
  ASSERT_TRUE(set->statistics(0).link_up);
  // A client's first look for frames hands the server the buffers to send in.
  EXPECT_TRUE(receive_sequences(ports.rx[1], 1, 10).empty());
  for (uint32_t i = 0; i < 50; ++i) {
    rte_mbuf* frame = make_mbuf(ports.pool, make_frame(i, 100));
    ASSERT_EQ(tx_burst(ports.tx[0], &frame, 1), 1);
    EXPECT_EQ(receive_sequences(ports.rx[1], 1, 1000), std::vector<int64_t>{i});
    frame = make_mbuf(ports.pool, make_frame(i, 100));
    ASSERT_EQ(tx_burst(ports.tx[1], &frame, 1), 1);
    EXPECT_EQ(receive_sequences(ports.rx[0], 1, 1000), std::vector<int64_t>{i});
  }
}

TEST(Ports, SayWhatIsWrong) {
  const Scratch scratch;
  std::ofstream(scratch.file("text")) << "not a capture, but long enough to look at";
  std::ofstream(scratch.file("empty")) << "";
  const std::string text = scratch.file("text");
  EXPECT_EQ(open_error({}), "there is no port");
  EXPECT_EQ(open_error({{"front", "pcap:" + text, 0}}),
            "port front: pcap:" + text + ": the file is not a pcap file");
  EXPECT_EQ(open_error({{"front", "pcap:/nope", 0}}),
            "port front: pcap:/nope: cannot read the file: No such file or directory");
  EXPECT_EQ(open_error({{"front", "0000:ff:1f.7", 0}}),
            "port front: 0000:ff:1f.7: no such PCI device");
  EXPECT_EQ(open_error({{"front", "null", 65}}),
            "port front: null: queues = 65, at most 64 are possible");
  EXPECT_EQ(open_error({{"a", "ring:x", 0}, {"b", "ring:x", 0}}),
            "port b: ring:x: ring x is port a's already");
  EXPECT_EQ(
      open_error({{"front", "ring:a-name-that-is-too-long", 0}}),
      "port front: ring:a-name-that-is-too-long: the name of the ring is longer than 20 bytes");
  EXPECT_EQ(open_error({{"front", "net_bogus0", 0}})
                .rfind("port front: net_bogus0: the driver "
                       "refuses it: ",
                       0),
            0u);
  EXPECT_EQ(open_error({{"front", "net_af_packet0,iface=nope", 0}})
                .rfind("port front: net_af_packet0,iface=nope: the driver refuses it: ", 0),
            0u);
  log_lines().take();
  // A port that cannot open takes no other with it into the next try.
  EXPECT_NE(open_error({{"a", "ring:x", 0}, {"b", "net_bogus0", 0}}), "it opened");
  EXPECT_NE(open_ports({{"a", "ring:x", 0}}), nullptr);
  EXPECT_TRUE(log_lines().take().empty()) << "what an error quotes is not logged as well";
}

TEST(Ports, TooLittleMemoryNamesTheSetting) {
  const auto pool =
      make_buffer_pool({.name = "huge", .buffers = 50'000'000, .frame_bytes_max = 0, .socket = 0});
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().message,
            "50000000 packet buffers need 112915 MB of hugepages: Cannot allocate memory; raise "
            "memory_mb");
}

}  // namespace
}  // namespace sluice::nic

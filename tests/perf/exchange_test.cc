// The generator's loop with a small device behind it that can be told to misbehave: each kind of
// planted fault is counted as often as it was planted. On "ring" ports; needs root and hugepages.
#include "perf/exchange.h"

#include <gtest/gtest.h>
#include <rte_launch.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <sched.h>

#include <atomic>
#include <cstring>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/clock.h"
#include "dataplane/wire/checksum.h"
#include "dataplane/wire/headers.h"

namespace sluice::perf {
namespace {

unsigned device_lcore = 0;

class Eal final : public ::testing::Environment {
 public:
  void SetUp() override {
    nic::EalOptions options;
    options.worker_cores = {1};
    options.memory_mb = 128;
    options.program = "exchange-test";
    const auto lcores = nic::start_eal(options);
    ASSERT_TRUE(lcores.has_value()) << lcores.error().message;
    device_lcore = lcores->front();
    calibrate_clock();
  }
  void TearDown() override { nic::stop_eal(); }
};
const auto* const eal = ::testing::AddGlobalTestEnvironment(new Eal);

enum class Fault : uint8_t { none, drop, duplicate, flip_byte, other_port, send_back, stray };

/// Carries frames from one ring port to the other and back, without translation. Every 50th one of
/// those since faults were switched on is treated as `fault` says.
class Device {
 public:
  explicit Device(rte_mempool* pool) : pool_(pool) {
    for (unsigned port = 0; port < 2; ++port) {
      in_[port] = nic::ring_port_tx(names[port], 0);
      out_[port] = nic::ring_port_rx(names[port], 0);
    }
    rte_eal_remote_launch(
        [](void* device) {
          static_cast<Device*>(device)->run();
          return 0;
        },
        this, device_lcore);
  }
  ~Device() {
    stop_ = true;
    rte_eal_wait_lcore(device_lcore);
  }

  static constexpr std::array<const char*, 2> names = {"exchange0", "exchange1"};

  void misbehave(Fault fault) {
    planted_ = 0;
    fault_ = fault;
  }
  uint64_t planted() const { return planted_; }

 private:
  void run() {
    while (!stop_) {
      uint32_t moved = 0;
      for (unsigned from = 0; from < 2; ++from) {
        void* frame = nullptr;
        while (rte_ring_dequeue(in_[from], &frame) == 0) {
          carry(static_cast<rte_mbuf*>(frame), from);
          ++moved;
        }
      }
      if (moved == 0) sched_yield();
    }
  }

  void carry(rte_mbuf* frame, unsigned from) {
    const Fault fault = fault_;
    if (fault == Fault::none || ++seen_ % 50 != 0) {
      send(frame, 1 - from);
      return;
    }
    ++planted_;
    // Buffers go back to the generator, who counts on what they hold: a faulty frame is a copy.
    rte_mbuf* copy = rte_pktmbuf_copy(frame, pool_, 0, UINT32_MAX);
    if (fault == Fault::duplicate) {
      send(frame, 1 - from);
    } else {
      rte_pktmbuf_free(frame);
    }
    if (fault == Fault::drop) {
      rte_pktmbuf_free(copy);
      return;
    }
    auto* bytes = rte_pktmbuf_mtod(copy, uint8_t*);
    if (fault == Fault::flip_byte) bytes[copy->data_len - 1] ^= 1;
    if (fault == Fault::other_port) change_port(bytes);
    if (fault == Fault::stray) store_be16(bytes + wire::ethernet::type, 0x0806);
    send(copy, fault == Fault::send_back ? from : 1 - from);
  }

  static void change_port(uint8_t* frame) {
    uint8_t* udp = frame + wire::ethernet_header_bytes + wire::ipv4::header_bytes;
    wire::ChecksumDelta delta;
    const auto before = load<uint16_t>(udp);
    store(udp, static_cast<uint16_t>(before ^ 0x0100));
    delta.replace16(before, load<uint16_t>(udp));
    store(udp + wire::udp::checksum, delta.apply(load<uint16_t>(udp + wire::udp::checksum)));
  }

  void send(rte_mbuf* frame, unsigned to) {
    while (rte_ring_enqueue(out_[to], frame) != 0) {
      if (stop_) return rte_pktmbuf_free(frame);
      sched_yield();
    }
  }

  rte_mempool* pool_;
  std::array<rte_ring*, 2> in_{}, out_{};
  std::atomic<bool> stop_{false};
  std::atomic<Fault> fault_{Fault::none};
  std::atomic<uint64_t> planted_{0};
  uint64_t seen_ = 0;
};

class ExchangeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto ports = nic::PortSet::open({{"clients", std::string("ring:") + Device::names[0], 1},
                                     {"backends", std::string("ring:") + Device::names[1], 1}},
                                    1);
    ASSERT_TRUE(ports.has_value()) << ports.error().message;
    ports_ = std::move(*ports);
    FlowPlan plan;
    plan.flows = 500;
    plan.frame_bytes = 0;  // IMIX
    plan.payload_bytes_min = ProbeFormat::payload_bytes(plan.protocol);
    auto exchange = Exchange::make(plan, *ports_);
    ASSERT_TRUE(exchange.has_value()) << exchange.error().message;
    exchange_ = std::move(*exchange);
    device_ = std::make_unique<Device>(nic::dpdk_ports(*ports_).pool(0));
    const Status opened = exchange_->open();
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
  }

  void TearDown() override {
    device_.reset();
    exchange_.reset();
    if (ports_) ports_->close();
  }

  /// A slow trial, so that nothing is lost that the device did not drop.
  TrialResult run_with(Fault fault) {
    device_->misbehave(fault);
    const bool loses = fault != Fault::none && fault != Fault::duplicate;
    TrialResult result = exchange_->run({20'000, 0.3, loses ? 1.5 : 30.0});
    EXPECT_GT(result.sent, 0);
    EXPECT_EQ(fault == Fault::none, device_->planted() == 0);
    return result;
  }

  static uint64_t count(const TrialResult& result, Arrival arrival) {
    return result.arrivals[static_cast<size_t>(arrival)];
  }

  std::unique_ptr<nic::PortSet> ports_;
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<Device> device_;
};

TEST_F(ExchangeTest, AFaithfulDeviceLosesNothingAndSendsNothingWrong) {
  for (const double rate : {20'000.0, 0.0}) {
    const TrialResult result = exchange_->run({rate, 0.3, 30});
    EXPECT_GT(result.sent, 0);
    EXPECT_EQ(result.received, result.sent);
    EXPECT_EQ(result.wrong(), 0);
    EXPECT_EQ(count(result, Arrival::late), 0);
    EXPECT_EQ(result.latency_ns.count(), result.received);
  }
}

TEST_F(ExchangeTest, EveryPlantedFaultIsCounted) {
  const TrialResult dropped = run_with(Fault::drop);
  EXPECT_EQ(dropped.sent - dropped.received, device_->planted());
  EXPECT_EQ(dropped.wrong(), 0);

  const std::vector<std::pair<Fault, Arrival>> faults = {{Fault::duplicate, Arrival::duplicate},
                                                         {Fault::flip_byte, Arrival::corrupt},
                                                         {Fault::other_port, Arrival::wrong_flow},
                                                         {Fault::send_back, Arrival::misdelivered},
                                                         {Fault::stray, Arrival::foreign}};
  for (const auto& [fault, arrival] : faults) {
    const TrialResult result = run_with(fault);
    // All are back before the duplicate of the last one need be.
    const uint64_t unseen = fault == Fault::duplicate ? 1 : 0;
    EXPECT_LE(result.wrong(), device_->planted()) << arrival_names[static_cast<size_t>(arrival)];
    EXPECT_GE(result.wrong() + unseen, device_->planted());
    EXPECT_EQ(count(result, arrival), result.wrong());
    const bool also_lost = fault != Fault::duplicate;
    EXPECT_EQ(result.sent - result.received, also_lost ? device_->planted() : 0);
  }
  EXPECT_EQ(run_with(Fault::none).wrong(), 0);
}

TEST_F(ExchangeTest, SinglePacketsAreAwaited) {
  const TrialResult result = exchange_->wake(20, 50, 30);
  EXPECT_EQ(result.sent, 20);
  EXPECT_EQ(result.received, 20);
  EXPECT_EQ(result.latency_ns.count(), 20);
}

}  // namespace
}  // namespace sluice::perf

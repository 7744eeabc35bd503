// What the nic tests share: one EAL per test program, veth pairs in a network namespace of the
// process's own (it goes away with the process, however that ends), and raw far ends.
#pragma once

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "nic/dpdk_port_set.h"

namespace sluice::nic::test {

/// Collects DPDK's log lines.
class LogLines {
 public:
  void add(std::string_view line);
  std::vector<std::string> take();

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};
LogLines& log_lines();

/// Starts the EAL once with two workers on core 0 beside the main thread; `own_network` moves the
/// process to a new network namespace before. Gives false when the machine cannot (not root, no
/// hugepages), with the reason on stderr.
bool start_test_eal(bool own_network);

/// Registers start_test_eal() to run before the tests.
void use_eal(bool own_network);

/// Runs a shell command that must succeed.
void run(const std::string& command);

/// A veth pair of this namespace, both ends up, without addresses. Removed at the end.
class Veth {
 public:
  /// `name` is our end, `name` + "p" the far one.
  explicit Veth(const std::string& name, unsigned queues = 1, unsigned mtu = 1500);
  ~Veth();
  Veth(const Veth&) = delete;
  Veth& operator=(const Veth&) = delete;

  const std::string& near() const { return name_; }
  std::string far() const { return name_ + "p"; }

 private:
  std::string name_;
};

/// An ethertype for local experiments (IEEE 802), so that nothing else is mistaken for a test
/// frame.
inline constexpr uint16_t test_ethertype = 0x88b5;

/// A UDP packet (of an IPv4 flow that `flow` picks) or, with `ip` false, a frame of test_ethertype;
/// `bytes` long, with `sequence` in its last four bytes.
std::vector<uint8_t> make_frame(uint32_t sequence, size_t bytes, uint16_t flow = 0, bool ip = true);

/// The sequence in a frame of make_frame(), or -1 for a frame that is not one.
int64_t sequence_of(std::span<const uint8_t> frame);

/// A packet socket on the far end.
class FarEnd {
 public:
  explicit FarEnd(const std::string& interface);
  ~FarEnd();
  FarEnd(const FarEnd&) = delete;
  FarEnd& operator=(const FarEnd&) = delete;

  void send(std::span<const uint8_t> frame) const;
  /// The next test frame; empty after `timeout_ms` without one.
  std::vector<uint8_t> receive(int timeout_ms) const;

 private:
  int fd_;
};

/// Opens ports that must open.
std::unique_ptr<PortSet> open_ports(const std::vector<PortOptions>& ports, unsigned workers = 1);

/// The error of ports that must not open.
std::string open_error(const std::vector<PortOptions>& ports, unsigned workers = 1);

/// A buffer with these bytes.
rte_mbuf* make_mbuf(rte_mempool* pool, std::span<const uint8_t> bytes);

std::span<const uint8_t> bytes_of(const rte_mbuf* frame);

/// Takes what waits in `queue` for up to `timeout_ms`, until `count` test frames came; their
/// sequences, in order of arrival.
std::vector<int64_t> receive_sequences(const RxQueue& queue, size_t count, int timeout_ms);

uint64_t now_ms();

}  // namespace sluice::nic::test

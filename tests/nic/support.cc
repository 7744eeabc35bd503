#include "tests/nic/support.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <rte_mempool.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "dataplane/base/assert.h"
#include "dataplane/base/byte_order.h"

namespace sluice::nic::test {
namespace {

constexpr uint8_t marker = 0x5a;

/// Only our frames: nothing else speaks in the namespace then.
void silence_ipv6() {
  for (const char* scope : {"all", "default"}) {
    std::ofstream(std::string("/proc/sys/net/ipv6/conf/") + scope + "/disable_ipv6") << 1;
  }
}

class EalEnvironment final : public ::testing::Environment {
 public:
  explicit EalEnvironment(bool own_network) : own_network_(own_network) {}
  void SetUp() override {
    ASSERT_TRUE(start_test_eal(own_network_)) << "needs root and 128 MB of free hugepages";
  }
  void TearDown() override { stop_eal(); }

 private:
  bool own_network_;
};

}  // namespace

void LogLines::add(std::string_view line) {
  const std::lock_guard lock(mutex_);
  lines_.emplace_back(line);
}

std::vector<std::string> LogLines::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(lines_, {});
}

LogLines& log_lines() {
  static LogLines lines;
  return lines;
}

bool start_test_eal(bool own_network) {
  if (own_network) {
    if (unshare(CLONE_NEWNET) != 0) {
      std::perror("unshare");
      return false;
    }
    silence_ipv6();
  }
  EalOptions options;
  options.main_core = 0;
  options.worker_cores = {0, 0};
  options.memory_mb = 128;
  options.program = "nic-test";
  options.log = [](LogLevel, std::string_view line) { log_lines().add(line); };
  const auto lcores = start_eal(options);
  if (!lcores) std::fprintf(stderr, "%s\n", lcores.error().message.c_str());
  return lcores.has_value();
}

void use_eal(bool own_network) {
  ::testing::AddGlobalTestEnvironment(new EalEnvironment(own_network));
}

void run(const std::string& command) {
  const int status = std::system(command.c_str());
  if (status != 0) std::fprintf(stderr, "failed: %s\n", command.c_str());
  SLUICE_ASSERT(status == 0);
}

Veth::Veth(const std::string& name, unsigned queues, unsigned mtu) : name_(name) {
  const std::string counts = " numtxqueues " + std::to_string(queues) + " numrxqueues " +
                             std::to_string(queues) + " mtu " + std::to_string(mtu);
  run("ip link add " + near() + counts + " type veth peer name " + far() + counts);
  run("ip link set " + near() + " up && ip link set " + far() + " up");
}

Veth::~Veth() { run("ip link del " + near() + " 2>/dev/null || true"); }

std::vector<uint8_t> make_frame(uint32_t sequence, size_t bytes, uint16_t flow, bool ip) {
  constexpr size_t headers = ETH_HLEN + 20 + 8;
  SLUICE_ASSERT(bytes >= headers + 8);
  std::vector<uint8_t> frame(bytes, marker);
  std::memset(frame.data(), 0xff, 6);  // broadcast: every stack takes it
  std::memset(frame.data() + 6, 0x02, 6);
  store_be16(frame.data() + 12, ip ? uint16_t{ETH_P_IP} : test_ethertype);
  if (ip) {
    uint8_t* header = frame.data() + ETH_HLEN;
    std::memset(header, 0, 28);
    header[0] = 0x45;
    store_be16(header + 2, static_cast<uint16_t>(bytes - ETH_HLEN));
    header[8] = 64;
    header[9] = 17;
    store_be32(header + 12, 0x0a000001);
    store_be32(header + 16, 0x0a000002);
    store_be16(header + 20, static_cast<uint16_t>(1024 + flow));
    store_be16(header + 22, 9);
    store_be16(header + 24, static_cast<uint16_t>(bytes - ETH_HLEN - 20));
  }
  store_be32(frame.data() + bytes - 4, sequence);
  return frame;
}

int64_t sequence_of(std::span<const uint8_t> frame) {
  if (frame.size() < 50 || frame[frame.size() - 5] != marker || frame[6] != 0x02) return -1;
  return load_be32(frame.data() + frame.size() - 4);
}

FarEnd::FarEnd(const std::string& interface)
    : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
  SLUICE_ASSERT(fd_ >= 0);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  const int buffer_bytes = 64 << 20;
  setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof(buffer_bytes));
  const int on = 1;
  setsockopt(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
  SLUICE_ASSERT(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
}

FarEnd::~FarEnd() { close(fd_); }

void FarEnd::send(std::span<const uint8_t> frame) const {
  const ssize_t sent = ::send(fd_, frame.data(), frame.size(), 0);
  SLUICE_ASSERT(sent == static_cast<ssize_t>(frame.size()));
}

std::vector<uint8_t> FarEnd::receive(int timeout_ms) const {
  std::array<uint8_t, 16'384> buffer{};
  const uint64_t until = now_ms() + static_cast<uint64_t>(timeout_ms);
  for (uint64_t now = now_ms(); now <= until; now = now_ms()) {
    pollfd waiting{fd_, POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(until - now)) != 1) break;
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got <= 0) continue;
    const std::span<const uint8_t> frame(buffer.data(), static_cast<size_t>(got));
    if (sequence_of(frame) >= 0) return {frame.begin(), frame.end()};
  }
  return {};
}

std::unique_ptr<PortSet> open_ports(const std::vector<PortOptions>& ports, unsigned workers) {
  auto set = PortSet::open(ports, workers);
  if (!set) {
    ADD_FAILURE() << set.error().message;
    return nullptr;
  }
  return std::move(*set);
}

std::string open_error(const std::vector<PortOptions>& ports, unsigned workers) {
  const auto set = PortSet::open(ports, workers);
  return set ? "it opened" : set.error().message;
}

rte_mbuf* make_mbuf(rte_mempool* pool, std::span<const uint8_t> bytes) {
  rte_mbuf* frame = rte_pktmbuf_alloc(pool);
  SLUICE_ASSERT(frame != nullptr);
  char* data = rte_pktmbuf_append(frame, static_cast<uint16_t>(bytes.size()));
  SLUICE_ASSERT(data != nullptr);
  std::memcpy(data, bytes.data(), bytes.size());
  return frame;
}

std::span<const uint8_t> bytes_of(const rte_mbuf* frame) {
  return {rte_pktmbuf_mtod(frame, const uint8_t*), rte_pktmbuf_data_len(frame)};
}

std::vector<int64_t> receive_sequences(const RxQueue& queue, size_t count, int timeout_ms) {
  std::vector<int64_t> sequences;
  std::array<rte_mbuf*, 32> frames{};
  const uint64_t until = now_ms() + static_cast<uint64_t>(timeout_ms);
  while (sequences.size() < count && now_ms() < until) {
    const uint16_t got = rx_burst(queue, frames.data(), frames.size());
    for (uint16_t i = 0; i < got; ++i) {
      const int64_t sequence = sequence_of(bytes_of(frames[i]));
      if (sequence >= 0) sequences.push_back(sequence);
      rte_pktmbuf_free(frames[i]);
    }
  }
  return sequences;
}

uint64_t now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace sluice::nic::test

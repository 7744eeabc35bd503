#include "ctrl/health/monitor.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <vector>

#include "tests/ctrl/runtime/run_until.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;
using test::run_for;
using test::run_until;

IpAddress ip(const char* text) { return *parse_ip(text); }

/// A real server socket on loopback that can go and come back on the same port.
class Server {
 public:
  explicit Server(Family family = Family::v4) : family_(family) { up(); }
  ~Server() { down(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void up() {
    const int on = 1;
    fd_ = ::socket(family_ == Family::v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port_);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port_);
    v6.sin6_addr = in6addr_loopback;
    const bool is_v4 = family_ == Family::v4;
    auto* address = is_v4 ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6);
    socklen_t bytes = is_v4 ? sizeof v4 : sizeof v6;
    ASSERT_EQ(::bind(fd_, address, bytes), 0);
    ASSERT_EQ(::listen(fd_, 1024), 0);
    ASSERT_EQ(::getsockname(fd_, address, &bytes), 0);
    port_ = ntohs(is_v4 ? v4.sin_port : v6.sin6_port);
  }
  void down() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  Endpoint endpoint() const { return {ip(family_ == Family::v4 ? "127.0.0.1" : "::1"), port_}; }

  /// Connections that clients have made since the last call.
  int take_connections() const {
    int count = 0;
    pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
    while (::poll(&ready, 1, 0) == 1) {
      const int connection = ::accept(fd_, nullptr, nullptr);
      if (connection >= 0) ::close(connection);
      ++count;
    }
    return count;
  }

 private:
  Family family_;
  int fd_ = -1;
  uint16_t port_ = 0;
};

PoolConfig pool_of(const std::string& name, const std::vector<Endpoint>& endpoints) {
  PoolConfig pool;
  pool.name = name;
  pool.health = {
      .type = HealthType::tcp, .interval_ms = 20, .timeout_ms = 200, .rise = 2, .fall = 3};
  for (const Endpoint& endpoint : endpoints) {
    BackendConfig backend;
    backend.address = endpoint.address;
    backend.port = endpoint.port;
    pool.backends.push_back(backend);
  }
  return pool;
}

class HealthTest : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop) << loop.error().message;
    loop_ = std::move(*loop);
    monitor_ = HealthMonitor::create(
        *loop_, 7,
        [this](const BackendKey& key, const HealthState& s) { changes_.emplace_back(key, s); });
  }
  void TearDown() override {
    monitor_.reset();
    loop_.reset();
  }
  uint32_t failures(const BackendKey& key) const { return monitor_->find(key)->failures; }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<HealthMonitor> monitor_;
  std::vector<std::pair<BackendKey, HealthState>> changes_;
};

TEST_F(HealthTest, FallsAfterFallFailuresAndRisesAfterRiseSuccesses) {
  Server server;
  const BackendKey key{"blue", server.endpoint()};
  monitor_->set_targets({pool_of("blue", {server.endpoint()})});
  ASSERT_NE(monitor_->find(key), nullptr);
  EXPECT_TRUE(monitor_->find(key)->up) << "up until proven otherwise";
  EXPECT_FALSE(monitor_->find(key)->checked);
  ASSERT_TRUE(run_until(*loop_, [&] { return monitor_->find(key)->successes >= 3; }));
  EXPECT_TRUE(changes_.empty()) << "it was up all the time";

  server.down();
  ASSERT_TRUE(run_until(*loop_, [&] { return !monitor_->find(key)->up; }));
  EXPECT_EQ(failures(key), 3u);
  ASSERT_EQ(changes_.size(), 1u);
  EXPECT_EQ(changes_[0].first, key);
  EXPECT_FALSE(changes_[0].second.up);
  EXPECT_EQ(changes_[0].second.reason, "connect: Connection refused");
  EXPECT_GT(changes_[0].second.since_ms, 1'600'000'000'000u);
  EXPECT_EQ(monitor_->down(), std::set{key});

  server.up();
  ASSERT_TRUE(run_until(*loop_, [&] { return monitor_->find(key)->up; }));
  EXPECT_EQ(monitor_->find(key)->successes, 2u);
  EXPECT_TRUE(monitor_->find(key)->reason.empty());
  ASSERT_EQ(changes_.size(), 2u);
  EXPECT_TRUE(changes_[1].second.up);
  EXPECT_TRUE(monitor_->down().empty());
}

TEST_F(HealthTest, SingleFailuresDoNotBringItDown) {
  Server server;
  const BackendKey key{"blue", server.endpoint()};
  monitor_->set_targets({pool_of("blue", {server.endpoint()})});
  for (int round = 0; round < 5; ++round) {
    server.down();
    ASSERT_TRUE(run_until(*loop_, [&] { return failures(key) >= 1; }));
    ASSERT_LT(failures(key), 3u) << "the machine is too slow for this test";
    server.up();
    ASSERT_TRUE(run_until(*loop_, [&] { return monitor_->find(key)->successes >= 1; }));
  }
  EXPECT_TRUE(changes_.empty());
}

TEST_F(HealthTest, ProbesIpv6) {
  Server server(Family::v6);
  const BackendKey key{"blue", server.endpoint()};
  monitor_->set_targets({pool_of("blue", {server.endpoint()})});
  ASSERT_TRUE(run_until(*loop_, [&] { return monitor_->find(key)->successes >= 2; }));
  server.down();
  ASSERT_TRUE(run_until(*loop_, [&] { return !monitor_->find(key)->up; }));
}

TEST_F(HealthTest, ServerWithAFullBacklogTimesOut) {
  // A listener that accepts nobody: once its queue is full, SYNs are ignored.
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), bytes), 0);
  ASSERT_EQ(::listen(fd, 0), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
  std::vector<int> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::connect(fillers.back(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  const BackendKey key{"blue", {ip("127.0.0.1"), ntohs(address.sin_port)}};
  auto pool = pool_of("blue", {key.endpoint});
  pool.health.timeout_ms = 50;
  monitor_->set_targets({pool});
  ASSERT_TRUE(run_until(*loop_, [&] { return !monitor_->find(key)->up; }));
  EXPECT_EQ(monitor_->find(key)->reason, "connect: no answer within 50 ms");
  for (const int filler : fillers) ::close(filler);
  ::close(fd);
}

TEST_F(HealthTest, UnchangedTargetsKeepTheirStateOthersAreDropped) {
  Server alive;
  Server dead;
  dead.down();
  const BackendKey dead_key{"blue", dead.endpoint()};
  const auto blue = pool_of("blue", {alive.endpoint(), dead.endpoint()});
  monitor_->set_targets({blue});
  ASSERT_TRUE(run_until(*loop_, [&] { return !monitor_->find(dead_key)->up; }));
  const uint64_t since = monitor_->find(dead_key)->since_ms;

  auto green = pool_of("green", {dead.endpoint()});
  monitor_->set_targets({blue, green});
  EXPECT_FALSE(monitor_->find(dead_key)->up);
  EXPECT_EQ(monitor_->find(dead_key)->since_ms, since);
  EXPECT_TRUE(monitor_->find({"green", dead.endpoint()})->up) << "another pool judges for itself";

  green.health.type = HealthType::none;
  monitor_->set_targets({green});
  EXPECT_EQ(monitor_->find(dead_key), nullptr);
  EXPECT_EQ(monitor_->find({"green", dead.endpoint()}), nullptr);
  EXPECT_TRUE(monitor_->down().empty());
  const uint64_t probes = monitor_->probes();
  run_for(*loop_, 100ms);
  EXPECT_EQ(monitor_->probes(), probes) << "nobody is left to probe";
}

TEST_F(HealthTest, ShorterIntervalTakesEffectAtOnce) {
  Server server;
  const BackendKey key{"blue", server.endpoint()};
  auto pool = pool_of("blue", {server.endpoint()});
  pool.health.interval_ms = 3'600'000;
  monitor_->set_targets({pool});
  ASSERT_TRUE(run_until(*loop_, [&] { return monitor_->find(key)->successes == 1; }));
  run_for(*loop_, 50ms);
  EXPECT_EQ(monitor_->find(key)->successes, 1u);
  pool.health.interval_ms = 10;
  monitor_->set_targets({pool});
  EXPECT_TRUE(run_until(*loop_, [&] { return monitor_->find(key)->successes >= 4; }));
}

TEST_F(HealthTest, IntervalsRunFromStartToStart) {
  Server server;
  auto pool = pool_of("blue", {server.endpoint()});
  pool.health.interval_ms = 50;
  monitor_->set_targets({pool});
  run_for(*loop_, 1'000ms);
  EXPECT_LE(monitor_->probes(), 24u);  // 20, ±10 % and the first one
  EXPECT_GE(monitor_->probes(), 10u);
  EXPECT_NEAR(server.take_connections(), monitor_->probes(), 1);
}

TEST_F(HealthTest, ChangedMayReplaceTheTargets) {
  Server server;
  server.down();
  const BackendKey key{"blue", server.endpoint()};
  int calls = 0;
  monitor_.reset();
  monitor_ = HealthMonitor::create(*loop_, 7, [&](const BackendKey& who, const HealthState&) {
    EXPECT_EQ(who, key);
    ++calls;
    monitor_->set_targets({});
  });
  monitor_->set_targets({pool_of("blue", {server.endpoint()})});
  ASSERT_TRUE(run_until(*loop_, [&] { return calls == 1; }));
  EXPECT_EQ(monitor_->find(key), nullptr);
  run_for(*loop_, 50ms);
  EXPECT_EQ(calls, 1);
}

TEST_F(HealthTest, PoolsWithTheSameCheckShareOneProbe) {
  Server server;
  auto blue = pool_of("blue", {server.endpoint()});
  auto green = pool_of("green", {server.endpoint()});
  green.health.fall = 100;  // judges otherwise
  green.health.interval_ms = 100;
  auto other = pool_of("other", {server.endpoint()});
  other.health.timeout_ms = 150;  // another check
  monitor_->set_targets({blue, green, other});
  EXPECT_EQ(monitor_->stats().probed, 2u);
  EXPECT_EQ(monitor_->stats().backends, 3u);
  run_for(*loop_, 500ms);
  EXPECT_NEAR(server.take_connections(), monitor_->probes(), 2);
  const auto report = monitor_->report({"green", server.endpoint()});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->shared_by, 2u);
  EXPECT_EQ(report->interval_ms, 20u) << "the shortest";
  EXPECT_EQ(report->last.text, "connected");
  server.down();
  ASSERT_TRUE(run_until(*loop_, [&] { return !monitor_->find({"blue", server.endpoint()})->up; }));
  EXPECT_TRUE(monitor_->find({"green", server.endpoint()})->up);
}

TEST_F(HealthTest, SuspicionProbesAtOnceAndASuccessSettlesIt) {
  Server server;
  const BackendKey key{"blue", server.endpoint()};
  auto pool = pool_of("blue", {server.endpoint()});
  pool.health.interval_ms = 3'600'000;
  monitor_->set_targets({pool});
  ASSERT_TRUE(run_until(*loop_, [&] { return monitor_->find(key)->successes == 1; }));
  monitor_->suspect(key, "5 handshakes unanswered");
  EXPECT_TRUE(monitor_->find(key)->suspected);
  EXPECT_TRUE(monitor_->find(key)->up);
  EXPECT_EQ(monitor_->find(key)->reason, "5 handshakes unanswered");
  ASSERT_TRUE(run_until(*loop_, [&] { return monitor_->find(key)->successes == 2; }));
  EXPECT_FALSE(monitor_->find(key)->suspected);

  server.down();
  pool.health.interval_ms = 500;  // a tenth of it between suspicious probes
  monitor_->set_targets({pool});
  monitor_->suspect(key, "again");
  ASSERT_TRUE(run_until(*loop_, [&] { return !monitor_->find(key)->up; }));
  pool.health.passive = {.failures = 1, .eject = true};
  server.up();
  monitor_->set_targets({pool});
  ASSERT_TRUE(run_until(*loop_, [&] { return monitor_->find(key)->up; }));
  monitor_->suspect(key, "ejected by the data plane");
  EXPECT_FALSE(monitor_->find(key)->up);
  EXPECT_EQ(changes_.back().second.reason, "ejected by the data plane");
  EXPECT_TRUE(monitor_->down().contains(key));
}

TEST_F(HealthTest, SlowStartsStepUp) {
  Server server;
  const BackendKey key{"blue", server.endpoint()};
  auto pool = pool_of("blue", {server.endpoint()});
  pool.health.slow_start_ms = 1'000;
  server.down();
  monitor_->set_targets({pool});
  ASSERT_TRUE(run_until(*loop_, [&] { return !monitor_->find(key)->up; }));
  server.up();
  ASSERT_TRUE(run_until(*loop_, [&] { return monitor_->find(key)->up; }));
  EXPECT_EQ(monitor_->slow_starts().at(key), 10);
  changes_.clear();
  ASSERT_TRUE(run_until(*loop_, [&] { return monitor_->slow_starts().empty(); }));
  EXPECT_EQ(monitor_->find(key)->weight_percent, 100);
  EXPECT_LE(changes_.size(), 5u) << "at most one step each 250 ms";
  uint8_t before = 10;
  for (const auto& [who, state] : changes_) {
    EXPECT_GT(state.weight_percent, before);
    before = state.weight_percent;
  }
}

TEST_F(HealthTest, ManyProbesAreSpreadEvenlyOverTheInterval) {
  // 2,000 refusals a second at most: deadlines are what is looked at, not how fast this machine is.
  std::vector<Endpoint> endpoints;
  for (uint32_t i = 0; i < 2'000; ++i) {
    IpAddress address = ip("127.2.0.0");
    address.bytes[2] = static_cast<uint8_t>(i >> 8);
    address.bytes[3] = static_cast<uint8_t>(i);
    endpoints.push_back({address, 9});
  }
  auto pool = pool_of("blue", endpoints);
  pool.health.interval_ms = 10'000;
  monitor_->set_targets({pool});
  ASSERT_TRUE(run_until(*loop_, [&] { return monitor_->probes() >= 2'000; }));
  uint64_t first = ~0ull, last = 0;
  std::vector<uint64_t> deadlines;
  for (const Endpoint& endpoint : endpoints) {
    const auto report = monitor_->report({"blue", endpoint});
    if (report->next_ns == 0) continue;
    deadlines.push_back(report->next_ns);
    first = std::min(first, report->next_ns);
    last = std::max(last, report->next_ns);
  }
  EXPECT_GT(last - first, 8'000'000'000u);
  std::array<int, 10> tenths{};
  for (const uint64_t deadline : deadlines) ++tenths[(deadline - first) * 9 / (last - first)];
  for (size_t i = 1; i < 8; ++i) {
    EXPECT_GT(tenths[i], 130) << "tenth " << i;
    EXPECT_LT(tenths[i], 320) << "tenth " << i;
  }
}

size_t open_descriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

TEST_F(HealthTest, ThousandsOfTargetsWithBoundedDescriptors) {
  Server server;
  std::vector<Endpoint> endpoints;
  // All of 127.0.0.0/8 is loopback; nobody listens on these but the refusal is as good.
  for (uint32_t i = 0; i < 3'000; ++i) {
    IpAddress address = ip("127.1.0.0");
    address.bytes[2] = static_cast<uint8_t>(i >> 8);
    address.bytes[3] = static_cast<uint8_t>(i);
    endpoints.push_back({address, 9});
  }
  endpoints.push_back(server.endpoint());
  auto pool = pool_of("blue", endpoints);
  pool.health.interval_ms = 100;
  const size_t before = open_descriptors();
  monitor_->set_targets({pool});
  size_t most = 0;
  ASSERT_TRUE(run_until(
      *loop_,
      [&] {
        most = std::max(most, open_descriptors());
        return monitor_->down().size() == 3'000;
      },
      60s));
  EXPECT_LE(most, before + health_probes_max + 64);
  EXPECT_TRUE(monitor_->find({"blue", server.endpoint()})->up);
  monitor_->set_targets({});
  run_for(*loop_, 20ms);
  EXPECT_LE(open_descriptors(), before + 4);
}

TEST_F(HealthTest, LeavesNoTimeWaitBehind) {
  Server server;
  monitor_->set_targets({pool_of("blue", {server.endpoint()})});
  // The server closes after us, which is what would leave TIME_WAIT on our side.
  int taken = 0;
  ASSERT_TRUE(run_until(*loop_, [&] {
    taken += server.take_connections();
    return taken >= 20;
  }));
  monitor_->set_targets({});
  run_for(*loop_, 10ms);
  server.take_connections();
  // Columns of /proc/net/tcp: local and remote address, then the state; 06 is TIME_WAIT.
  std::ifstream table("/proc/net/tcp");
  std::string line;
  char remote[32];
  std::snprintf(remote, sizeof remote, "0100007F:%04X 06", server.endpoint().port);
  int waiting = 0;
  while (std::getline(table, line)) waiting += line.find(remote) != std::string::npos;
  EXPECT_EQ(waiting, 0);
}

}  // namespace
}  // namespace sluice::ctrl

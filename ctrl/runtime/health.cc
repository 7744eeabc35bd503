#include "ctrl/runtime/health.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <random>
#include <utility>

#include "ctrl/runtime/log.h"

namespace sluice::ctrl {

namespace {

constexpr double jitter = 0.1;

uint64_t unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& storage) {
  storage = {};
  if (endpoint.address.family == Family::v4) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    address.sin_addr.s_addr = endpoint.address.v4_raw();
    std::memcpy(&storage, &address, sizeof address);
    return sizeof address;
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(endpoint.port);
  std::memcpy(&address.sin6_addr, endpoint.address.bytes.data(), sizeof address.sin6_addr);
  std::memcpy(&storage, &address, sizeof address);
  return sizeof address;
}

/// A socket whose close() sends RST and leaves no TIME_WAIT. -errno when there is none.
int open_probe_socket(Family family) {
  const int fd =
      ::socket(family == Family::v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return -errno;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  return fd;
}

class TcpHealthMonitor final : public HealthMonitor {
 public:
  TcpHealthMonitor(EventLoop& loop, uint64_t seed, Changed changed)
      : loop_(loop), random_(seed), changed_(std::move(changed)) {}
  TcpHealthMonitor(const TcpHealthMonitor&) = delete;
  TcpHealthMonitor& operator=(const TcpHealthMonitor&) = delete;
  ~TcpHealthMonitor() override {
    for (auto& [key, target] : targets_) abandon(target);
  }

  void set_targets(const std::vector<PoolConfig>& pools) override;
  const HealthState* find(const BackendKey& backend) const override {
    const auto found = targets_.find(backend);
    return found == targets_.end() ? nullptr : &found->second.state;
  }
  std::set<BackendKey> down() const override;
  uint64_t probes() const override { return probes_; }

 private:
  struct Target {
    HealthConfig config;
    HealthState state;
    OperationId timer = 0;  // the next probe, or the time limit of the one under way
    OperationId connecting = 0;
    int fd = -1;           // of the probe under way
    bool waiting = false;  // in line for a free probe
    std::chrono::steady_clock::time_point started;
  };
  using Entry = std::pair<const BackendKey, Target>;

  void due(Entry& entry);
  void start_waiting();
  void probe(Entry& entry);
  void ended(Entry& entry, int result);
  void succeeded(Entry& entry);
  void failed(Entry& entry, std::string reason);
  void schedule_next(Entry& entry);
  void release(Target& target);
  void abandon(Target& target);

  EventLoop& loop_;
  std::mt19937_64 random_;
  Changed changed_;
  std::map<BackendKey, Target> targets_;  // entries stay where they are: completions point there
  std::deque<BackendKey> line_;
  size_t in_flight_ = 0;
  uint64_t probes_ = 0;
};

void TcpHealthMonitor::set_targets(const std::vector<PoolConfig>& pools) {
  std::map<BackendKey, const HealthConfig*> wanted;
  for (const PoolConfig& pool : pools) {
    if (pool.health.type == HealthType::none) continue;
    for (const BackendConfig& backend : pool.backends) {
      wanted[{pool.name, {backend.address, backend.port}}] = &pool.health;
    }
  }
  for (auto it = targets_.begin(); it != targets_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    abandon(it->second);
    it = targets_.erase(it);
  }
  for (const auto& [key, config] : wanted) {
    const auto [entry, added] = targets_.try_emplace(key);
    Target& target = entry->second;
    const bool sooner = config->interval_ms < target.config.interval_ms;
    target.config = *config;
    if (added) target.state.since_ms = unix_ms();
    const bool idle = target.fd < 0 && !target.waiting;
    if (idle && (added || sooner)) {
      loop_.cancel(target.timer);
      target.timer =
          loop_.after(std::chrono::nanoseconds(0), [this, e = &*entry](int) { due(*e); });
    }
  }
  // Places that removed probes have left.
  start_waiting();
}

std::set<BackendKey> TcpHealthMonitor::down() const {
  std::set<BackendKey> down;
  for (const auto& [key, target] : targets_) {
    if (!target.state.up) down.insert(key);
  }
  return down;
}

void TcpHealthMonitor::due(Entry& entry) {
  entry.second.timer = 0;
  entry.second.waiting = true;
  line_.push_back(entry.first);
  start_waiting();
}

void TcpHealthMonitor::start_waiting() {
  while (in_flight_ < health_probes_max && !line_.empty()) {
    const auto found = targets_.find(line_.front());
    line_.pop_front();
    // A target that left the configuration, or left and came back: it is not waiting now.
    if (found == targets_.end() || !found->second.waiting) continue;
    found->second.waiting = false;
    probe(*found);
  }
}

void TcpHealthMonitor::probe(Entry& entry) {
  Target& target = entry.second;
  target.started = std::chrono::steady_clock::now();
  const int fd = open_probe_socket(entry.first.endpoint.address.family);
  if (fd < 0) {
    // Our own shortage says nothing about the backend.
    log_error("health", "cannot open a socket", {{"error", std::strerror(-fd)}});
    return schedule_next(entry);
  }
  ++in_flight_;
  target.fd = fd;
  sockaddr_storage to;
  const socklen_t bytes = to_sockaddr(entry.first.endpoint, to);
  target.connecting =
      loop_.connect(fd, to, bytes, [this, &entry](int result) { ended(entry, result); });
  target.timer = loop_.after(std::chrono::milliseconds(target.config.timeout_ms),
                             [this, &entry](int) { ended(entry, -ETIMEDOUT); });
}

void TcpHealthMonitor::ended(Entry& entry, int result) {
  Target& target = entry.second;
  release(target);
  ++probes_;
  target.state.checked = true;
  schedule_next(entry);
  if (result == 0) {
    succeeded(entry);
  } else if (result == -ETIMEDOUT) {
    failed(entry, fmt::format("connect: no answer within {} ms", target.config.timeout_ms));
  } else {
    failed(entry, fmt::format("connect: {}", std::strerror(-result)));
  }
  start_waiting();
}

void TcpHealthMonitor::succeeded(Entry& entry) {
  const auto& [key, target] = entry;
  HealthState& state = entry.second.state;
  state.failures = 0;
  ++state.successes;
  if (state.up) {
    state.reason.clear();
    return;
  }
  if (state.successes < target.config.rise) return;
  state.up = true;
  state.since_ms = unix_ms();
  state.reason.clear();
  log_info("health", "backend up", {{"pool", key.pool}, {"backend", to_string(key.endpoint)}});
  changed_(BackendKey(key), HealthState(state));  // copies: it may drop this target
}

void TcpHealthMonitor::failed(Entry& entry, std::string reason) {
  const auto& [key, target] = entry;
  HealthState& state = entry.second.state;
  state.successes = 0;
  ++state.failures;
  state.reason = std::move(reason);
  if (!state.up || state.failures < target.config.fall) return;
  state.up = false;
  state.since_ms = unix_ms();
  log_warn("health", "backend down",
           {{"pool", key.pool},
            {"backend", to_string(key.endpoint)},
            {"reason", state.reason},
            {"failures", state.failures}});
  changed_(BackendKey(key), HealthState(state));  // copies: it may drop this target
}

/// Intervals run from start to start.
void TcpHealthMonitor::schedule_next(Entry& entry) {
  Target& target = entry.second;
  std::uniform_real_distribution<double> factor(1.0 - jitter, 1.0 + jitter);
  const std::chrono::duration<double, std::milli> interval(target.config.interval_ms *
                                                           factor(random_));
  const auto rest = interval - (std::chrono::steady_clock::now() - target.started);
  target.timer = loop_.after(std::chrono::duration_cast<std::chrono::nanoseconds>(rest),
                             [this, &entry](int) { due(entry); });
}

/// Ends the probe under way, if there is one.
void TcpHealthMonitor::release(Target& target) {
  loop_.cancel(std::exchange(target.timer, 0));
  loop_.cancel(std::exchange(target.connecting, 0));
  if (target.fd < 0) return;
  ::close(std::exchange(target.fd, -1));
  --in_flight_;
}

void TcpHealthMonitor::abandon(Target& target) {
  release(target);
  target.waiting = false;
}

}  // namespace

std::unique_ptr<HealthMonitor> HealthMonitor::create(EventLoop& loop, uint64_t seed,
                                                     Changed changed) {
  return std::make_unique<TcpHealthMonitor>(loop, seed, std::move(changed));
}

}  // namespace sluice::ctrl

// probe_bench [SECONDS [BACKENDS...]]: what health probes cost, and how punctual they are. As many
// backends as asked, each its own address, TCP-checked every second by the product's own monitor in
// a network namespace of this process; one listener answers for all of them. The thread's time
// holds both ends of the handshakes, as loopback does the server's part in the client's context.
// Root. Nothing is left behind.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include "ctrl/health/monitor.h"
#include "ctrl/runtime/log.h"

namespace {

using namespace sluice;
using namespace sluice::ctrl;

constexpr uint16_t port = 8080;
constexpr unsigned warm_up_s = 3;

double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + double(now.tv_nsec) / 1e9;
}

/// All of 10.0.0.0/8 is this machine's, in a namespace of our own.
bool enter_namespace() {
  if (::unshare(CLONE_NEWNET) != 0) return false;
  std::ofstream("/proc/sys/net/core/somaxconn") << 65'535;
  return std::system("ip link set lo up && ip route add local 10.0.0.0/8 dev lo") == 0;
}

/// Takes connections and closes them, until it is told to stop.
class Responder {
 public:
  Responder() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    const int on = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd_, 65'535) != 0) {
      std::perror("probe_bench: listen");
      std::exit(1);
    }
    thread_ = std::thread([this] {
      for (;;) {
        const int client = ::accept(fd_, nullptr, nullptr);
        if (client >= 0) ::close(client);
        if (client < 0 && stopping_) return;
      }
    });
  }
  ~Responder() {
    stopping_ = true;
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

 private:
  int fd_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

PoolConfig pool_of(unsigned backends) {
  PoolConfig pool;
  pool.name = "bench";
  pool.health = {.type = HealthType::tcp, .interval_ms = 1'000, .timeout_ms = 500};
  for (uint32_t i = 0; i < backends; ++i) {
    BackendConfig backend;
    backend.address = *parse_ip("10.1.0.0");
    backend.address.bytes[1] = static_cast<uint8_t>(1 + (i >> 16));
    backend.address.bytes[2] = static_cast<uint8_t>(i >> 8);
    backend.address.bytes[3] = static_cast<uint8_t>(i);
    backend.port = port;
    pool.backends.push_back(backend);
  }
  return pool;
}

void run_for(EventLoop& loop, unsigned seconds) {
  loop.after(std::chrono::seconds(seconds), [&](int) { loop.stop(); });
  loop.run();
}

void measure(unsigned backends, unsigned seconds) {
  auto loop = EventLoop::create();
  if (!loop) {
    std::fprintf(stderr, "probe_bench: %s\n", loop.error().message.c_str());
    std::exit(1);
  }
  const auto monitor =
      HealthMonitor::create(**loop, 1, [](const BackendKey&, const HealthState&) {});
  monitor->set_targets({pool_of(backends)});
  run_for(**loop, warm_up_s);
  const ProberStats before = monitor->stats();
  const double cpu_before = thread_seconds();
  run_for(**loop, seconds);
  const ProberStats after = monitor->stats();
  const double cpu_s = thread_seconds() - cpu_before;
  const double probes = double(after.succeeded + after.failed - before.succeeded - before.failed);
  std::printf("%8u  %9.0f  %6.1f %%  %8.2f  %8.1f  %8.1f  %8.1f  %7zu  %7llu\n", backends,
              probes / seconds, 100 * cpu_s / seconds, probes > 0 ? 1e6 * cpu_s / probes : 0.0,
              after.lateness.recent_ms(0.5), after.lateness.recent_ms(0.99),
              after.lateness.recent_max_ms(), monitor->down().size(),
              static_cast<unsigned long long>(after.skipped - before.skipped));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned seconds = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 5;
  std::vector<unsigned> sizes = {1'000, 5'000, 10'000, 20'000, 50'000};
  if (argc > 2) sizes.clear();
  for (int i = 2; i < argc; ++i) sizes.push_back(static_cast<unsigned>(std::atoi(argv[i])));
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  if (!enter_namespace()) {
    std::perror("probe_bench: cannot make a network namespace (root?)");
    return 1;
  }
  const Responder responder;
  std::printf("%8s  %9s  %8s  %8s  %8s  %8s  %8s  %7s  %7s\n", "backends", "probes/s", "of core",
              "us/probe", "late p50", "p99", "max ms", "down", "skipped");
  for (const unsigned backends : sizes) measure(backends, seconds);
  return 0;
}

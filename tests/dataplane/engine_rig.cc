#include "tests/dataplane/engine_rig.h"

#include <gtest/gtest.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "tests/dataplane/pipeline_rig.h"

namespace sluice::test {
namespace {

std::vector<unsigned> lcores;
std::array<pid_t, rig_workers_max> worker_tids{};

class EngineEal final : public ::testing::Environment {
 public:
  void SetUp() override {
    nic::EalOptions options;
    options.main_core = 0;
    // Any two workers share a core, and half of them share the test's.
    options.worker_cores = {1, 0, 1, 0};
    options.memory_mb = 192;
    options.program = "engine-test";
    const auto started = nic::start_eal(options);
    ASSERT_TRUE(started.has_value()) << started.error().message;
    lcores = *started;
    ASSERT_EQ(lcores.size(), rig_workers_max);
    if (cycles_per_second() == 0) calibrate_clock();
    learn_threads();
  }
  void TearDown() override { nic::stop_eal(); }

 private:
  static void learn_threads() {
    for (unsigned number = 0; number < rig_workers_max; ++number) {
      rte_eal_remote_launch(
          [](void* tid) {
            *static_cast<pid_t*>(tid) = static_cast<pid_t>(syscall(SYS_gettid));
            return 0;
          },
          &worker_tids[number], lcores[number]);
      rte_eal_wait_lcore(lcores[number]);
    }
  }
};

std::atomic<bool> held{false};
std::atomic<bool> in_handler{false};

void block_here(int) {
  in_handler = true;
  const timespec moment = {0, 1'000'000};
  while (held) nanosleep(&moment, nullptr);
  in_handler = false;
}

}  // namespace

void use_engine_eal() { ::testing::AddGlobalTestEnvironment(new EngineEal); }

bool eventually(const std::function<bool()>& done, int timeout_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return done();
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return true;
}

pid_t worker_thread(unsigned number) { return worker_tids[number]; }

HeldWorker::HeldWorker(unsigned number) {
  held = true;
  signal(SIGUSR1, block_here);
  SLUICE_ASSERT(syscall(SYS_tgkill, getpid(), worker_tids[number], SIGUSR1) == 0);
  SLUICE_ASSERT(eventually([] { return in_handler.load(); }));
}

HeldWorker::~HeldWorker() {
  held = false;
  SLUICE_ASSERT(eventually([] { return !in_handler.load(); }));
}

EngineRig::EngineRig(const Options& options) : workers_(options.workers) {
  auto ports = nic::PortSet::open(options.ports, options.workers);
  if (!ports) std::fprintf(stderr, "%s\n", ports.error().message.c_str());
  SLUICE_ASSERT(ports.has_value());
  ports_ = std::move(*ports);
  dataplane::EngineOptions engine;
  engine.worker_lcores.assign(lcores.begin(), lcores.begin() + options.workers);
  engine.idle = options.idle;
  engine.flows_max = options.flows_max;
  engine.snat_ports = ports_from(1024, 32'767);
  auto made = dataplane::Engine::create(engine, *ports_);
  if (!made) std::fprintf(stderr, "%s\n", made.error().message.c_str());
  SLUICE_ASSERT(made.has_value());
  engine_ = std::move(*made);
  const Status started = engine_->start(options.snapshot);
  SLUICE_ASSERT(started.has_value());
}

EngineRig::~EngineRig() {
  engine_->stop();
  engine_.reset();
  ports_->close();
}

bool EngineRig::send(const char* port, unsigned queue, const Bytes& frame) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(nic::dpdk_ports(*ports_).worker_ports(0).pool);
  if (mbuf == nullptr) return false;
  std::memcpy(rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size())), frame.data(),
              frame.size());
  if (rte_ring_sp_enqueue(nic::ring_port_rx(port, queue), mbuf) == 0) return true;
  rte_pktmbuf_free(mbuf);
  return false;
}

std::vector<Bytes> EngineRig::take(const char* port) {
  std::vector<Bytes> frames;
  for (unsigned queue = 0; queue < workers_; ++queue) {
    rte_ring* ring = nic::ring_port_tx(port, queue);
    if (ring == nullptr) break;
    void* taken = nullptr;
    while (rte_ring_sc_dequeue(ring, &taken) == 0) {
      auto* mbuf = static_cast<rte_mbuf*>(taken);
      const auto* data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
      frames.emplace_back(data, data + mbuf->data_len);
      rte_pktmbuf_free(mbuf);
    }
  }
  return frames;
}

size_t EngineRig::waiting(const char* port) const {
  size_t count = 0;
  for (unsigned queue = 0; queue < workers_; ++queue) {
    rte_ring* ring = nic::ring_port_tx(port, queue);
    if (ring != nullptr) count += rte_ring_count(ring);
  }
  return count;
}

uint64_t EngineRig::sum(
    const std::function<uint64_t(const dataplane::WorkerCounters&)>& read) const {
  uint64_t total = 0;
  for (unsigned worker = 0; worker < workers_; ++worker) total += read(engine_->counters(worker));
  return total;
}

uint64_t EngineRig::verdicts(Verdict verdict) const {
  return sum(
      [&](const auto& counters) { return counters.verdicts[static_cast<size_t>(verdict)].get(); });
}

uint64_t EngineRig::received() const {
  return sum([](const auto& counters) { return counters.rx_packets.get(); });
}

uint64_t EngineRig::decided() const {
  return sum([](const auto& counters) {
    uint64_t total = 0;
    for (size_t i = 1; i < verdict_count; ++i) total += counters.verdicts[i].get();
    return total;
  });
}

bool EngineRig::all_acknowledged(uint64_t revision) const {
  for (unsigned worker = 0; worker < workers_; ++worker) {
    if (engine_->acknowledgement(worker).revision < revision) return false;
  }
  return true;
}

uint64_t process_cpu_ns() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace sluice::test

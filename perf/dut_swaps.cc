#include "perf/dut_swaps.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "dataplane/base/clock.h"

namespace sluice::perf {
namespace {

constexpr size_t prepared_ahead = 64;
constexpr uint64_t acknowledged_ns_max = 2'000'000'000;

double to_us(uint64_t ns) { return static_cast<double>(ns) / 1e3; }

/// Threads of this process that DPDK named so.
std::vector<pid_t> worker_threads() {
  std::vector<pid_t> found;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (name.find("-worker") != std::string::npos) {
      found.push_back(std::stoi(task.path().filename()));
    }
  }
  return found;
}

}  // namespace

SwapRun::SwapRun(dataplane::Engine& engine, DutSnapshots& snapshots)
    : engine_(engine), snapshots_(snapshots), workers_(worker_threads()) {}

uint64_t SwapRun::slowest_acknowledgement_ns(uint64_t revision) const {
  uint64_t slowest = 0;
  for (unsigned i = 0; i < engine_.worker_count(); ++i) {
    const auto acknowledged = engine_.acknowledgement(i);
    if (acknowledged.revision < revision) return 0;
    slowest = std::max(slowest, acknowledged.at_ns);
  }
  return slowest;
}

uint64_t SwapRun::run_delay_ns() const {
  uint64_t sum = 0;
  for (const pid_t tid : workers_) {
    uint64_t on_cpu = 0, waited = 0;
    std::ifstream("/proc/self/task/" + std::to_string(tid) + "/schedstat") >> on_cpu >> waited;
    sum += waited;
  }
  return sum;
}

void SwapRun::prepare() {
  for (size_t n = 0; n < prepared_ahead; ++n) {
    const uint64_t begin = monotonic_ns_now();
    prepared_.push_back(snapshots_.next_marked());
    prepare_us_.push_back(to_us(monotonic_ns_now() - begin));
  }
  std::ranges::reverse(prepared_);
}

nlohmann::json SwapRun::run(uint32_t count, uint32_t per_second) {
  std::vector<double> delays_us, stolen_us;
  uint64_t due_ns = 0, late = 0, timeouts = 0;
  const uint64_t interval_ns = 1'000'000'000 / per_second;
  for (uint32_t i = 0; i < count; ++i) {
    if (prepared_.empty()) {
      prepare();
      due_ns = monotonic_ns_now();
    }
    due_ns += interval_ns;
    while (monotonic_ns_now() < due_ns) {
    }
    auto next = std::move(prepared_.back());
    prepared_.pop_back();
    const uint64_t revision = next->revision;
    const uint64_t waited_ns = run_delay_ns();
    const uint64_t published_ns = monotonic_ns_now();
    engine_.publish(std::move(next));
    uint64_t at_ns = 0;
    while ((at_ns = slowest_acknowledgement_ns(revision)) == 0) {
      if (monotonic_ns_now() > published_ns + acknowledged_ns_max) break;
    }
    timeouts += at_ns == 0;
    delays_us.push_back(at_ns > published_ns ? to_us(at_ns - published_ns) : 0.0);
    stolen_us.push_back(to_us(run_delay_ns() - waited_ns));
    engine_.reclaim();
    late += monotonic_ns_now() > due_ns + interval_ns;
  }
  return {{"delays_us", delays_us},
          {"stolen_us", stolen_us},
          {"prepare_us", std::exchange(prepare_us_, {})},
          {"late", late},
          {"timeouts", timeouts}};
}

}  // namespace sluice::perf

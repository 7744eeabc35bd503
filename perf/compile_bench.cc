// compile_bench: time and memory of compiling a configuration into a snapshot.
//   compile_bench RUNS LISTENERS POOLS BACKENDS
// One JSON object: milliseconds of CPU time of each run, and bytes. `full`: from nothing, all
// tables new. `weights`: every route has another weight. `weight`: one route has. `down`: one
// backend failed its health check.
#include <malloc.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "ctrl/compile/compile.h"
#include "perf/compile_config.h"

namespace sluice::perf {
namespace {

using ctrl::Config;
using ctrl::Observed;
using ctrl::Registry;
using SnapshotPtr = std::shared_ptr<const model::Snapshot>;

/// CPU time of this thread: what else the machine does is no matter.
double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

size_t allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

class Bench {
 public:
  explicit Bench(const ConfigSize& size)
      : config_(make_config(size)), observed_(observe(config_)) {}

  void run() {
    Registry registry;
    size_t bytes = allocated_bytes();
    const SnapshotPtr full = measure("full", registry, nullptr);
    report_["snapshot_bytes"] = allocated_bytes() - bytes;
    bytes = allocated_bytes();
    const uint32_t before = config_.routes[0].rules[0].backends[0].weight;
    set_weight(config_.routes[0], 1 + before % 90);
    const SnapshotPtr weight = measure("weight", registry, full);
    report_["weight_bytes"] = allocated_bytes() - bytes;
    const ctrl::PoolConfig& pool = config_.pools[0];
    const ctrl::BackendConfig& backend = pool.backends[0];
    observed_.down.insert({pool.name, {backend.address, backend.port}});
    const SnapshotPtr down = measure("down", registry, weight);
    observed_.down.clear();
    for (ctrl::RouteConfig& route : config_.routes) {
      set_weight(route, 1 + (route.rules[0].backends[0].weight + 7) % 90);
    }
    measure("weights", registry, down);
  }

  const nlohmann::json& report() const { return report_; }

 private:
  static void set_weight(ctrl::RouteConfig& route, uint32_t weight) {
    route.rules[0].backends[0].weight = weight;
  }

  SnapshotPtr measure(const char* what, Registry& registry, const SnapshotPtr& previous) {
    const double begin = cpu_ms();
    auto snapshot = compile(config_, observed_, registry, previous.get());
    report_[what].push_back(cpu_ms() - begin);
    if (!snapshot) {
      std::cerr << "compile_bench: " << snapshot.error().message << '\n';
      std::exit(1);
    }
    return *snapshot;
  }

  Config config_;
  Observed observed_;
  nlohmann::json report_;
};

uint32_t number(const char* text, uint32_t max) {
  char* end = nullptr;
  const unsigned long value = std::strtoul(text, &end, 10);
  if (*text != '\0' && *end == '\0' && value > 0 && value <= max) {
    return static_cast<uint32_t>(value);
  }
  std::cerr << "compile_bench: \"" << text << "\" is no number from 1 to " << max << '\n';
  std::exit(2);
}

}  // namespace
}  // namespace sluice::perf

int main(int argc, char** argv) {
  using namespace sluice::perf;
  if (argc != 5) {
    std::cerr << "usage: compile_bench RUNS LISTENERS POOLS BACKENDS\n";
    return 2;
  }
  const uint32_t runs = number(argv[1], 1000);
  Bench bench({number(argv[2], 10'000), number(argv[3], 10'000), number(argv[4], 10'000)});
  for (uint32_t i = 0; i < runs; ++i) bench.run();
  std::cout << bench.report().dump() << std::endl;
  return 0;
}

// pipeline_bench: cycles per packet of each stage and of the whole pipeline, on the heap, without
// devices: IPv4 UDP, 64-byte frames, at 10 thousand and 1 million random flows, both directions
// mixed.
//   pipeline_bench [FLOWS...]
// Times come from chunks of some hundred bursts. The median is what the machine gave; the best
// twentieth is what it gives when nobody else uses its caches and memory.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "dataplane/base/clock.h"
#include "dataplane/classify.h"
#include "dataplane/follow.h"
#include "dataplane/model/decide.h"
#include "dataplane/model/listener_index.h"
#include "dataplane/pipeline.h"
#include "perf/pipeline_world.h"

namespace sluice::perf {
namespace {

constexpr uint32_t burst = forward::burst_packets_max;
constexpr size_t chunk_bursts = 128;
constexpr size_t chunks = 256;

struct StageTimes {
  Samples classify, follow, account;
};

/// Stage by stage over one burst: what a stage finds in the caches is what the one before left.
void run_stages(World& world, StageTimes& times) {
  std::array<uint64_t, 3> cycles{};
  for (size_t i = 0; i < chunk_bursts; ++i) {
    forward::Burst& packets = world.next_burst();
    dataplane::WorkerState& state = world.state();
    const model::Snapshot& snapshot = world.snapshot();
    packets.revision = snapshot.revision;
    StopWatch watch;
    dataplane::classify(packets, snapshot, state);
    cycles[0] += watch.lap();
    dataplane::follow<Tuple4>(packets, snapshot, state);
    cycles[1] += watch.lap();
    dataplane::account(packets, state);
    cycles[2] += watch.lap();
  }
  constexpr uint64_t packets = chunk_bursts * burst;
  times.classify.add(cycles[0], packets);
  times.follow.add(cycles[1], packets);
  times.account.add(cycles[2], packets);
}

void measure_pipeline(World& world, Samples& samples) {
  uint64_t cycles = 0;
  for (size_t i = 0; i < chunk_bursts; ++i) {
    forward::Burst& packets = world.next_burst();
    const uint64_t begin = cycles_now();
    dataplane::run_pipeline(packets, world.snapshot(), world.state());
    dataplane::account(packets, world.state());
    cycles += cycles_now() - begin;
  }
  samples.add(cycles, chunk_bursts * burst);
}

void measure_decide(World& world, Samples& samples) {
  constexpr size_t decisions = 4096;
  uint64_t sum = 0;
  const uint64_t begin = cycles_now();
  for (size_t i = 0; i < decisions; ++i) {
    const Tuple4 tuple = world.random_client();
    const int32_t listener = world.snapshot().index->find(tuple, protocol_udp);
    sum += model::decide(world.snapshot(),
                         world.snapshot().listeners[static_cast<size_t>(listener)], tuple)
               .backend;
  }
  const uint64_t cycles = cycles_now() - begin;
  asm volatile("" : : "r"(sum));
  samples.add(cycles, decisions);
}

void run(uint32_t flows) {
  World world(flows);
  std::printf("%u flows (%s pages), %zu packets, IPv4 UDP, 64-byte frames; cycles per packet:\n",
              flows, world.huge() ? "2 MB" : "4 KB", chunks * chunk_bursts * burst);
  StageTimes stages;
  Samples whole, decide;
  for (size_t i = 0; i < chunks; ++i) {
    run_stages(world, stages);
    measure_pipeline(world, whole);
    measure_decide(world, decide);
  }
  stages.classify.print("classify (parse, hash, fetch)");
  stages.follow.print("follow (find, checks, state, nat)");
  stages.account.print("account");
  whole.print("whole pipeline");
  decide.print("decide (listener, pool, backend)");
  world.open_cost().print("open a flow (whole pipeline)");
  world.check();
}

}  // namespace
}  // namespace sluice::perf

int main(int argc, char** argv) {
  sluice::calibrate_clock();
  std::vector<uint32_t> counts;
  for (int i = 1; i < argc; ++i) {
    counts.push_back(static_cast<uint32_t>(std::strtoul(argv[i], nullptr, 10)));
  }
  if (counts.empty()) counts = {10'000, 1'000'000};
  for (const uint32_t flows : counts) sluice::perf::run(flows);
  return 0;
}

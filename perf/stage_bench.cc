// stage_bench: what each step costs by itself: cycles and nanoseconds; or, with
// --count, a few operations of each inside a function of its own, for valgrind's callgrind to count
// the instructions of (--toggle-collect='collect_*'). Then the clock stands still, so that every
// run executes the same instructions.
//   stage_bench FLOWS | --count
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "ctrl/compile/compile.h"
#include "dataplane/flow/timer_wheel.h"
#include "dataplane/model/decide.h"
#include "dataplane/model/listener_index.h"
#include "dataplane/model/maglev.h"
#include "dataplane/model/slot_table.h"
#include "dataplane/pipeline.h"
#include "dataplane/wire/parse.h"
#include "dataplane/wire/rewrite.h"
#include "perf/compile_config.h"
#include "perf/pipeline_world.h"

namespace sluice::perf {

constexpr uint32_t burst = forward::burst_packets_max;
constexpr uint32_t batch = 32 * burst;  // operations in one go

/// What the steps work on, made ready before each of them.
struct Bench {
  using Record = flow::FlowRecord<Tuple4>;

  explicit Bench(uint32_t flows)
      : world(flows),
        frames(batch),
        parsed(batch),
        clients(batch),
        hashes(batch),
        records(batch),
        wheel_memory((flow::TimerWheel<Record>::memory_bytes(wheel_slots) + 7) / 8),
        wheel(std::as_writable_bytes(std::span(wheel_memory)), wheel_slots, records.data(), 0),
        config(make_config({100, 100, 100})),
        observed(observe(config)) {
    for (uint16_t id = 0; id < 1000; ++id) {
      members.push_back({id, {IpAddress::from_v4_raw(swap32(0x0a01'0000u + id)), 8080}, 1});
    }
    compile();
  }

  void next_frames() {
    for (uint32_t first = 0; first < batch; first += burst) {
      const forward::Burst& packets = world.next_burst();
      for (uint32_t i = 0; i < burst; ++i) {
        std::memcpy(frames[first + i].data(), packets.frames[i].data, frames[0].size());
      }
    }
  }
  void next_parsed() {
    next_frames();
    for (uint32_t i = 0; i < batch; ++i) SLUICE_ASSERT(wire::parse(frames[i], parsed[i]) == none);
  }
  uint64_t forwarded() {
    const auto& verdicts = world.state().counters.verdicts;
    return verdicts[static_cast<size_t>(Verdict::to_backend)].get() +
           verdicts[static_cast<size_t>(Verdict::to_client)].get();
  }
  void next_clients() {
    for (Tuple4& client : clients) client = world.random_client();
  }
  void compile() {
    auto compiled = ctrl::compile(config, observed, registry, previous.get());
    SLUICE_ASSERT(compiled.has_value());
    previous = std::move(*compiled);
  }

  static constexpr uint32_t wheel_slots = 8192;
  static constexpr Verdict none = Verdict::none;
  World world;
  forward::Burst* packets = nullptr;
  std::vector<std::array<uint8_t, 64>> frames;
  std::vector<wire::ParsedPacket> parsed;
  std::vector<Tuple4> clients;
  std::vector<uint64_t> hashes;
  std::vector<Record> records;
  std::vector<uint64_t> wheel_memory;
  flow::TimerWheel<Record> wheel;
  uint32_t tick = 0;
  std::vector<model::MaglevMember> members;
  ctrl::Config config;
  ctrl::Observed observed;
  ctrl::Registry registry;
  std::shared_ptr<const model::Snapshot> previous;
  volatile uint64_t sink = 0;  // what a step finds must be found
};

// Each in a function with a name that a tool can find.
extern "C" {

[[gnu::noinline]] void collect_parse(Bench& bench) {
  for (uint32_t i = 0; i < batch; ++i) {
    bench.sink = static_cast<uint64_t>(wire::parse(bench.frames[i], bench.parsed[i]));
  }
}

[[gnu::noinline]] void collect_lookup(Bench& bench) {
  const auto& table = bench.world.state().connections_v4.table();
  uint64_t found = 0;
  for (uint32_t first = 0; first < batch; first += burst) {
    for (uint32_t i = first; i < first + burst; ++i) {
      bench.hashes[i] = table.hash(bench.parsed[i].v4, protocol_udp);
      table.prefetch_bucket(bench.hashes[i]);
    }
    for (uint32_t i = first; i < first + burst; ++i) table.prefetch_record(bench.hashes[i]);
    for (uint32_t i = first; i < first + burst; ++i) {
      found += table.find(bench.parsed[i].v4, protocol_udp, bench.hashes[i]).index;
    }
  }
  bench.sink = found;
}

[[gnu::noinline]] void collect_decide(Bench& bench) {
  const model::Snapshot& snapshot = bench.world.snapshot();
  uint64_t sum = 0;
  for (const Tuple4& client : bench.clients) {
    const auto listener = static_cast<size_t>(snapshot.index->find(client, protocol_udp));
    sum += model::decide(snapshot, snapshot.listeners[listener], client).backend;
  }
  bench.sink = sum;
}

[[gnu::noinline]] void collect_rewrite(Bench& bench) {
  for (uint32_t i = 0; i < batch; ++i) {
    wire::rewrite(bench.frames[i], bench.parsed[i], bench.clients[i]);
  }
}

[[gnu::noinline]] void collect_timer_arm(Bench& bench) {
  for (uint32_t i = 0; i < batch; ++i) bench.wheel.insert(i, bench.tick + 1 + i % 100);
}

[[gnu::noinline]] void collect_timer_move(Bench& bench) {
  const uint32_t later = bench.tick + 100;
  bench.sink = bench.wheel.advance(
      later, batch, [&](const Bench::Record&) { return later + 50; }, [](uint32_t) {});
}

[[gnu::noinline]] void collect_timer_fire(Bench& bench) {
  bench.sink = bench.wheel.advance(
      bench.tick + 200, batch, [](const Bench::Record& record) { return record.expiry_tick; },
      [](uint32_t) {});
}

[[gnu::noinline]] void collect_pipeline(Bench& bench) {
  dataplane::run_pipeline(*bench.packets, bench.world.snapshot(), bench.world.state());
  dataplane::account(*bench.packets, bench.world.state());
}

[[gnu::noinline]] void collect_maglev_100(Bench& bench) {
  bench.sink = model::build_maglev(std::span(bench.members).first(100))->size();
}

[[gnu::noinline]] void collect_maglev_1000(Bench& bench) {
  bench.sink = model::build_maglev(bench.members)->size();
}

[[gnu::noinline]] void collect_slot_table(Bench& bench) {
  const std::array<model::WeightedPool, 2> pools = {{{"blue", 95}, {"green", 5}}};
  bench.sink = (*model::build_slot_table(pools))[0];
}

[[gnu::noinline]] void collect_compile(Bench& bench) { bench.compile(); }

}  // extern "C"

namespace {

struct Step {
  const char* name;
  const char* symbol;
  uint32_t operations;
  unsigned rounds;  // at most
  void (*prepare)(Bench&);
  void (*collect)(Bench&);
};

constexpr unsigned rounds_max = 2000;

void nothing(Bench&) {}

void change_weight(Bench& bench) {
  uint32_t& weight = bench.config.routes[0].rules[0].backends[0].weight;
  weight = weight % 90 + 1;
}

const Step steps[] = {
    {"parse", "collect_parse", batch, 200, [](Bench& bench) { bench.next_frames(); },
     collect_parse},
    {"look up, batches of 32", "collect_lookup", batch, 200,
     [](Bench& bench) { bench.next_parsed(); }, collect_lookup},
    {"decide", "collect_decide", batch, 200, [](Bench& bench) { bench.next_clients(); },
     collect_decide},
    {"rewrite", "collect_rewrite", batch, 200,
     [](Bench& bench) {
       bench.next_parsed();
       bench.next_clients();
     },
     collect_rewrite},
    {"arm a timer", "collect_timer_arm", batch, 200, [](Bench& bench) { bench.tick += 300; },
     collect_timer_arm},
    {"move a timer that fires too early", "collect_timer_move", batch, 200, nothing,
     collect_timer_move},
    {"fire a timer", "collect_timer_fire", batch, 200, nothing, collect_timer_fire},
    {"whole pipeline", "collect_pipeline", burst, rounds_max,
     [](Bench& bench) { bench.packets = &bench.world.next_burst(); }, collect_pipeline},
    {"Maglev table, 100 backends", "collect_maglev_100", 1, 40, nothing, collect_maglev_100},
    {"Maglev table, 1,000 backends", "collect_maglev_1000", 1, 40, nothing, collect_maglev_1000},
    {"slot table, 95 : 5", "collect_slot_table", 1, 40, nothing, collect_slot_table},
    {"compile one weight, 10,000 backends", "collect_compile", 1, 40, change_weight,
     collect_compile},
};

/// Once each, in order: the timers that one step arms are moved and fired by the next.
template <typename Around>
void run_round(Bench& bench, unsigned round, const Around& around) {
  for (const Step& step : steps) {
    if (round >= step.rounds) continue;
    step.prepare(bench);
    around(step, [&] { step.collect(bench); });
  }
}

void count() {
  constexpr unsigned rounds = 2;
  Bench bench(1000);
  for (unsigned round = 0; round < rounds; ++round) {
    run_round(bench, round, [](const Step&, const auto& collect) { collect(); });
  }
  for (const Step& step : steps) {
    std::printf("%s %u %s\n", step.symbol, rounds * step.operations, step.name);
  }
}

void measure(uint32_t flows) {
  calibrate_clock();
  Bench bench(flows);
  const uint64_t forwarded = bench.forwarded();
  std::array<Samples, std::size(steps)> samples;
  for (unsigned round = 0; round < rounds_max; ++round) {
    run_round(bench, round, [&](const Step& step, const auto& collect) {
      StopWatch watch;
      collect();
      samples[static_cast<size_t>(&step - steps)].add(watch.lap(), step.operations);
    });
  }
  SLUICE_ASSERT(bench.forwarded() - forwarded == rounds_max * burst);
  std::printf("%u flows (%s pages), IPv4 UDP; cycles per operation:\n", flows,
              bench.world.huge() ? "2 MB" : "4 KB");
  for (size_t i = 0; i < samples.size(); ++i) samples[i].print_with_ns(steps[i].name);
}

}  // namespace
}  // namespace sluice::perf

int main(int argc, char** argv) {
  const std::string_view what = argc == 2 ? argv[1] : "";
  const unsigned long flows = std::strtoul(what.data(), nullptr, 10);
  if (what == "--count") {
    sluice::perf::count();
  } else if (flows >= 1000 && flows <= 100'000'000) {
    sluice::perf::measure(static_cast<uint32_t>(flows));
  } else {
    std::fprintf(stderr, "usage: stage_bench FLOWS | --count; FLOWS from 1000 to 100000000\n");
    return 2;
  }
  return 0;
}

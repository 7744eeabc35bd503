// flow_bench: what the flow table costs, at 10 thousand, 1 million and 8 million random flows.
//   flow_bench [FLOWS...]
// Every operation is timed in chunks of some hundred microseconds. The median is what the machine
// gave; the best twentieth is what it gives when nobody else uses its caches and memory.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "dataplane/base/clock.h"
#include "dataplane/flow/connections.h"
#include "dataplane/flow/port_allocator.h"
#include "dataplane/wire/parse.h"
#include "perf/huge_memory.h"

namespace sluice::perf {
namespace {

constexpr size_t batch = 32;
constexpr size_t operations = 1 << 21;
constexpr size_t chunk = 4096;

using Random = std::mt19937_64;

template <typename Tuple>
Tuple random_tuple(Random& random) {
  Tuple tuple;
  auto* bytes = reinterpret_cast<uint8_t*>(&tuple);
  for (size_t at = 0; at < sizeof(Tuple); at += 4) {
    store(bytes + at, static_cast<uint32_t>(random()));
  }
  return tuple;
}

HashKey random_key(Random& random) {
  HashKey key;
  store(key.bytes.data(), random());
  store(key.bytes.data() + 8, random());
  return key;
}

/// Runs `operation(first)` for each chunk of `count` and prints the time per operation.
template <typename Operation>
void measure(const char* what, size_t count, size_t chunk_size, const Operation& operation) {
  std::vector<uint64_t> times;
  for (size_t first = 0; first + chunk_size <= count; first += chunk_size) {
    const uint64_t begin = cycles_now();
    operation(first);
    times.push_back(cycles_now() - begin);
  }
  std::ranges::sort(times);
  const auto cycles = [&](size_t at) {
    return static_cast<double>(times[at]) / static_cast<double>(chunk_size);
  };
  const double ns = 1e9 / static_cast<double>(cycles_per_second());
  const size_t best = times.size() / 20;
  const size_t median = times.size() / 2;
  std::printf("  %-42s median %7.1f ns %6.0f cycles   best %7.1f ns %6.0f cycles\n", what,
              cycles(median) * ns, cycles(median), cycles(best) * ns, cycles(best));
}

/// A table with `flows` random connections, and queries that hit them in random order.
template <typename Tuple>
struct Bench {
  using Connections = flow::Connections<Tuple>;

  Bench(HugeMemory& memory, uint32_t flows, Random& random_source)
      : random(random_source),
        connections(memory.span(), flows_max(flows), random_key(random), {}, 0) {
    opened.reserve(flows);
    while (opened.size() < flows) {
      const uint32_t index = open(random_tuple<Tuple>(random), random_tuple<Tuple>(random));
      if (index == flow::no_flow) continue;
      opened.push_back(index);
      connections.touch(index, {flow::Direction::from_backend, wire::tcp_syn | wire::tcp_ack}, 0);
      connections.touch(index, {flow::Direction::from_client, wire::tcp_ack}, 0);
    }
    queries.resize(operations);
    for (Tuple& query : queries) {
      const auto& record = connections[opened[random() % opened.size()]];
      query = random() % 2 == 0 ? record.from_client : record.from_backend;
    }
  }

  static uint32_t flows_max(uint32_t flows) { return std::bit_ceil(flows); }

  uint32_t open(const Tuple& client, const Tuple& backend) {
    const auto& table = connections.table();
    return connections.open(client, table.hash(client, protocol_tcp), backend,
                            table.hash(backend, protocol_tcp), protocol_tcp, 0);
  }

  uint64_t lookup_scalar(size_t begin) const {
    const auto& table = connections.table();
    uint64_t sum = 0;
    for (const Tuple& query : std::span(queries).subspan(begin, chunk)) {
      sum += table.find(query, protocol_tcp, table.hash(query, protocol_tcp)).index;
    }
    return sum;
  }

  /// `use(match)` for each query of a chunk, looked up in batches.
  template <typename Use>
  void lookup_batched(size_t begin, const Use& use) const {
    const auto& table = connections.table();
    for (size_t first = begin; first < begin + chunk; first += batch) {
      std::array<uint64_t, batch> hashes;
      for (size_t i = 0; i < batch; ++i) {
        hashes[i] = table.hash(queries[first + i], protocol_tcp);
        table.prefetch_bucket(hashes[i]);
      }
      for (const uint64_t hash : hashes) table.prefetch_record(hash);
      for (size_t i = 0; i < batch; ++i) {
        use(table.find(queries[first + i], protocol_tcp, hashes[i]));
      }
    }
  }

  /// Replaces random connections: close, then open with new tuples.
  void replace(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      uint32_t& index = opened[random() % opened.size()];
      connections.close(index);
      do {
        index = open(random_tuple<Tuple>(random), random_tuple<Tuple>(random));
      } while (index == flow::no_flow);
    }
  }

  /// New flows as the packet path makes them: a SNAT port that is free, then open.
  void open_with_port(flow::PortAllocator<Tuple>& ports, std::vector<uint32_t>& indexes) {
    const auto& table = connections.table();
    for (uint32_t& index : indexes) {
      auto reply = random_tuple<Tuple>(random);
      auto candidates = ports.candidates(reply);
      uint64_t reply_hash = 0;
      do {
        reply.destination_port = candidates.next();
        reply_hash = table.hash(reply, protocol_tcp);
      } while (table.find(reply, protocol_tcp, reply_hash).index != flow::no_flow);
      const auto client = random_tuple<Tuple>(random);
      index = connections.open(client, table.hash(client, protocol_tcp), reply, reply_hash,
                               protocol_tcp, tick);
    }
  }

  Random& random;
  Connections connections;
  std::vector<uint32_t> opened;
  std::vector<Tuple> queries;
  uint32_t tick = 0;
};

template <typename Tuple>
void measure_new_flows(Bench<Tuple>& bench) {
  const wire::Toeplitz toeplitz(wire::microsoft_rss_key);
  const flow::Owner owner(toeplitz, 2);
  const std::vector<uint64_t> all_ports(1024, ~uint64_t{0});
  const auto ports = std::make_unique<flow::PortAllocator<Tuple>>(owner, 0, all_ports, 1);
  std::vector<uint32_t> indexes(1024);
  for (uint32_t i = 0; i < indexes.size(); ++i) bench.connections.close(bench.opened[i]);
  measure("new flow with SNAT port, and its close", 200 * indexes.size(), indexes.size(),
          [&](size_t) {
            bench.open_with_port(*ports, indexes);
            for (const uint32_t index : indexes) bench.connections.close(index);
          });
}

template <typename Tuple>
void run(const char* family, uint32_t flows) {
  const uint32_t flows_max = Bench<Tuple>::flows_max(flows);
  const size_t bytes = flow::Connections<Tuple>::memory_bytes(flows_max);
  HugeMemory memory(bytes);
  if (!memory.valid()) {
    std::printf("%s, %u flows: skipped, no %zu MB of memory\n", family, flows, bytes >> 20);
    return;
  }
  Random random(1);
  Bench<Tuple> bench(memory, flows, random);
  std::printf("%s, %u flows of %u: %.1f bytes a flow, %s pages\n", family, flows, flows_max,
              static_cast<double>(bytes) / flows_max, memory.huge() ? "2 MiB" : "ordinary");
  volatile uint64_t sink = 0;
  uint64_t sum = 0;
  measure("lookup, one by one", operations, chunk,
          [&](size_t first) { sink = bench.lookup_scalar(first); });
  measure("lookup, batches of 32 with prefetch", operations, chunk, [&](size_t first) {
    bench.lookup_batched(first, [&](flow::FlowMatch match) { sum += match.index; });
  });
  const flow::Segment segment{flow::Direction::from_client, wire::tcp_ack, true};
  measure("lookup and touch, batches of 32", operations, chunk, [&](size_t first) {
    bench.tick += first % (chunk * 64) == 0;
    bench.lookup_batched(first, [&](flow::FlowMatch match) {
      bench.connections.touch(match.index, segment, bench.tick);
    });
  });
  sink = sum;
  measure("close + open of random connections", operations / 8, chunk / 8,
          [&](size_t) { bench.replace(chunk / 8); });
  measure_new_flows(bench);
}

}  // namespace
}  // namespace sluice::perf

int main(int argc, char** argv) {
  sluice::calibrate_clock();
  std::vector<uint32_t> counts;
  for (int i = 1; i < argc; ++i) {
    counts.push_back(static_cast<uint32_t>(std::strtoul(argv[i], nullptr, 0)));
  }
  if (counts.empty()) counts = {10'000, 1'000'000, 8'000'000};
  for (const uint32_t flows : counts) {
    if (flows < 2'000 || flows > 100'000'000) {
      std::fprintf(stderr, "flow_bench: FLOWS must be between 2000 and 100000000\n");
      return 2;
    }
    sluice::perf::run<sluice::Tuple4>("IPv4", flows);
    sluice::perf::run<sluice::Tuple6>("IPv6", flows);
  }
}

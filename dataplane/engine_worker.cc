#include "dataplane/engine_worker.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>

#include "dataplane/base/clock.h"

namespace sluice::dataplane {
namespace {

constexpr uint64_t megabyte = 1'048'576;

template <typename T>
T draw_random() {
  T value;
  auto* to = reinterpret_cast<uint8_t*>(&value);
  // Up to 256 bytes come whole once the kernel's generator is seeded (getrandom(2)).
  while (getrandom(to, sizeof(value), 0) != static_cast<ssize_t>(sizeof(value))) {
    SLUICE_ASSERT(errno == EINTR);
  }
  return value;
}

HugeMemory allocate_huge(const char* name, size_t bytes, int socket) {
  return HugeMemory(
      static_cast<std::byte*>(rte_zmalloc_socket(name, bytes, RTE_CACHE_LINE_SIZE, socket)));
}

std::string no_memory(const EngineOptions& options, unsigned number) {
  const uint64_t each = worker_memory_bytes(options.flows_max) / megabyte + 1;
  const uint64_t all = each * options.worker_lcores.size();
  return "no hugepage memory for the flow tables of worker " + std::to_string(number) +
         ": max_flows = " + std::to_string(options.flows_max) + " takes " + std::to_string(each) +
         " MB a worker, " + std::to_string(all) +
         " MB in all, beside the packet buffers; raise memory_mb or lower max_flows in [node]";
}

}  // namespace

uint64_t worker_memory_bytes(uint32_t flows_max) {
  return flow::Connections<Tuple4>::memory_bytes(flows_max) +
         flow::Connections<Tuple6>::memory_bytes(flows_max) + sizeof(WorkerCounters);
}

template <typename Tuple>
bool FlowMemory<Tuple>::allocate(uint32_t flows_max, const flow::Owner& owner, unsigned worker,
                                 std::span<const uint64_t> snat_port_set, int socket) {
  const size_t bytes = flow::Connections<Tuple>::memory_bytes(flows_max);
  memory = allocate_huge("sluice_flows", bytes, socket);
  if (memory == nullptr) return false;
  const auto now_tick = static_cast<uint32_t>(monotonic_ns_now() / tick_ns);
  connections = std::make_unique<flow::Connections<Tuple>>(std::span(memory.get(), bytes),
                                                           flows_max, draw_random<HashKey>(),
                                                           model::Timeouts{}, now_tick);
  snat_ports = std::make_unique<flow::PortAllocator<Tuple>>(owner, worker, snat_port_set,
                                                            draw_random<uint64_t>());
  return true;
}

template struct FlowMemory<Tuple4>;
template struct FlowMemory<Tuple6>;

Status EngineWorker::allocate(const EngineOptions& options, const flow::Owner& owner,
                              unsigned number) {
  counter_memory = allocate_huge("sluice_counters", sizeof(WorkerCounters), socket);
  if (counter_memory == nullptr) return fail(no_memory(options, number));
  counters = new (counter_memory.get()) WorkerCounters;
  if (!v4.allocate(options.flows_max, owner, number, options.snat_ports, socket) ||
      !v6.allocate(options.flows_max, owner, number, options.snat_ports, socket)) {
    return fail(no_memory(options, number));
  }
  const struct {
    const char* name;
    unsigned slots;
    Ring* ring;
  } wanted[] = {{"sl_punt", punt_ring_slots, &punt},
                {"sl_inject", inject_ring_slots, &inject},
                {"sl_commands", command_ring_slots, &commands},
                {"sl_answers", command_ring_slots, &answers}};
  for (const auto& [name, slots, ring] : wanted) {
    auto made = make_ring(name, slots, socket);
    if (!made) return std::unexpected(made.error());
    *ring = std::move(*made);
  }
  return sleeper.open();
}

}  // namespace sluice::dataplane

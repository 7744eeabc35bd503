// EngineWorker: what the engine holds for one worker: tables and counters in hugepages of the
// worker's socket, its rings, and the worker itself while it runs. ctrl thread.
#pragma once

#include <rte_malloc.h>

#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/base/result.h"
#include "dataplane/flow/connections.h"
#include "dataplane/flow/owner.h"
#include "dataplane/flow/port_allocator.h"
#include "dataplane/rings.h"
#include "dataplane/wake.h"
#include "dataplane/worker.h"
#include "dataplane/worker_links.h"
#include "dataplane/worker_state.h"

namespace sluice::dataplane {

struct HugeDeleter {
  void operator()(std::byte* memory) const { rte_free(memory); }
};
using HugeMemory = std::unique_ptr<std::byte, HugeDeleter>;

/// Bytes of hugepages that one worker needs with tables of `flows_max` flows per family.
uint64_t worker_memory_bytes(uint32_t flows_max);

/// One family's flow table and SNAT ports.
template <typename Tuple>
struct FlowMemory {
  HugeMemory memory;
  std::unique_ptr<flow::Connections<Tuple>> connections;
  std::unique_ptr<flow::PortAllocator<Tuple>> snat_ports;

  /// False when there is not enough memory on `socket`.
  bool allocate(uint32_t flows_max, const flow::Owner& owner, unsigned worker,
                std::span<const uint64_t> snat_port_set, int socket);
};

struct EngineWorker {
  unsigned lcore = 0;
  int socket = 0;
  HugeMemory counter_memory;
  WorkerCounters* counters = nullptr;
  FlowMemory<Tuple4> v4;
  FlowMemory<Tuple6> v6;
  Ring punt, inject, commands, answers;
  AckSlot acknowledgement;
  Sleeper sleeper;
  WorkerLinks links;
  std::unique_ptr<WorkerState> state;
  std::unique_ptr<Worker> worker;

  /// Tables, counters and rings; the error says what to change. `workers`: for its sentence.
  Status allocate(const EngineOptions& options, const flow::Owner& owner, unsigned number);
};

}  // namespace sluice::dataplane

// World: one worker's packet path with a given number of random UDP flows, and an endless supply of
// bursts that hit them in random order, both directions mixed. IPv4, 64-byte frames.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "dataplane/forward/burst.h"
#include "dataplane/model/snapshot.h"
#include "dataplane/worker_state.h"
#include "perf/huge_memory.h"
#include "perf/samples.h"

namespace sluice::perf {

class World {
 public:
  explicit World(uint32_t flows);

  const model::Snapshot& snapshot() const { return *snapshot_; }
  dataplane::WorkerState& state() { return state_; }
  bool huge() const { return memory_.huge(); }

  /// 32 packets of random flows, ready for the pipeline; clocks set.
  forward::Burst& next_burst();

  /// The tuple of a client that has no flow yet.
  Tuple4 random_client();

  /// What opening the flows cost.
  Samples& open_cost() { return open_cost_; }

  /// Aborts unless every packet so far was forwarded: else the figures mean nothing.
  void check() const;

 private:
  using Connections4 = flow::Connections<Tuple4>;
  using Connections6 = flow::Connections<Tuple6>;

  struct FlowTuples {
    Tuple4 from_client, from_backend;
  };

  void write_frame(uint32_t packet, const Tuple4& tuple, uint8_t port);
  void open_flows(uint32_t flows);
  void answer_last(uint32_t count);
  void start_burst();

  std::shared_ptr<const model::Snapshot> snapshot_;
  std::mt19937_64 random_;
  wire::Toeplitz toeplitz_;
  flow::Owner owner_;
  HugeMemory memory_;
  std::unique_ptr<std::byte, void (*)(void*)> memory_v6_;
  Connections4 v4_;
  Connections6 v6_;
  std::unique_ptr<flow::PortAllocator<Tuple4>> ports_v4_;
  std::unique_ptr<flow::PortAllocator<Tuple6>> ports_v6_;
  std::unique_ptr<dataplane::WorkerCounters> counters_;
  dataplane::WorkerState state_;
  std::vector<FlowTuples> flows_;
  Samples open_cost_;
  uint64_t made_ = 0;
  forward::Burst burst_;
  alignas(64) std::array<std::array<uint8_t, 64>, forward::burst_packets_max> frames_{};
};

}  // namespace sluice::perf

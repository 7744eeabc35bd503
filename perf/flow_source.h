// FlowSource: turns two DPDK null ports into the two ends of a network: port 0 sends what clients
// send, port 1 what backends answer. First every flow is opened and answered once (learning), then
// established packets of all flows come as fast as they are polled, both directions mixed. Works
// by RX and TX callbacks, on the core of whatever program polls the ports: sluiced's worker,
// testpmd or OVS-DPDK. What it costs is measured by a program that only receives.
//
// Several queues share the flows. Steered, as by a NIC with RSS, each queue gives the flows that
// its worker owns: those whose opening left on the TX queue of the same number. Each queue is used
// by one thread. attach() and poll_phase() are the controlling thread's.
#pragma once

#include <rte_ethdev.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "perf/flow_templates.h"

namespace sluice::perf {

enum class Phase : uint64_t { opening, answering, running, waiting };

inline constexpr unsigned source_queues_max = 32;

/// Shared with the program that measures, as a file of 64-bit words.
struct SourceStatus {
  std::atomic<uint64_t> magic;
  std::atomic<uint64_t> phase;
  std::atomic<uint64_t> flows;
  std::atomic<uint64_t> learned;
  std::atomic<uint64_t> confirmed;
  std::atomic<uint64_t> wrong;  // learning frames that came back wrong
  struct alignas(64) Queue {
    std::array<std::atomic<uint64_t>, 2> packets;  // given while running, by port
  };
  std::array<Queue, source_queues_max> queues;
};

struct SourceOptions {
  FlowPlan plan;
  bool steered = false;
  std::string status_file;
  std::array<uint16_t, 2> ethdevs{0, 1};
};

class FlowSource {
 public:
  /// "flows=1000000,bytes=64,proto=udp,family=4,listeners=1,zipf=0,learn=1,steer=0,status=FILE".
  static Result<SourceOptions> parse_options(const std::string& text);

  /// Makes the flows' frames and maps the status file.
  static Result<std::unique_ptr<FlowSource>> make(const SourceOptions& options);

  FlowSource(const FlowSource&) = delete;
  FlowSource& operator=(const FlowSource&) = delete;

  /// Adds the callbacks; both ports are started.
  Status attach();

  /// Moves to the next phase when this one is done; call now and then. The phase after it.
  Phase poll_phase();

 private:
  explicit FlowSource(const SourceOptions& options);

  static uint16_t on_rx(uint16_t ethdev, uint16_t queue, rte_mbuf* frames[], uint16_t count,
                        uint16_t count_max, void* source);
  static uint16_t on_tx(uint16_t ethdev, uint16_t queue, rte_mbuf* frames[], uint16_t count,
                        void* source);

  struct alignas(64) Side {
    uint32_t at = 0;
    const uint8_t* frames = nullptr;
  };
  struct Queue {
    std::array<Side, 2> sides;    // by port
    std::vector<uint32_t> order;  // while running: positions; empty where it is all of them
    uint32_t teach_from = 0, teach_to = 0, teach_at = 0;  // part of order_
  };

  Status add_queues(unsigned port, uint16_t ethdev);
  void assign_flows();
  uint16_t run(Queue& queue, unsigned number, unsigned port, rte_mbuf* frames[], uint16_t count);
  uint16_t teach(Queue& queue, unsigned port, rte_mbuf* frames[], uint16_t count);
  void observe(unsigned port, uint16_t queue, rte_mbuf* frame);
  void count(std::atomic<uint64_t>& counter) const;
  void start_running();
  void drop_tx_callbacks();

  SourceOptions options_;
  FlowTemplates templates_;
  std::vector<uint32_t> order_;  // of opening
  std::vector<uint8_t> done_;    // by position: 1 learned, 2 confirmed
  std::vector<uint8_t> owner_;   // by position: the queue that its opening left on
  std::vector<Queue> queues_;
  std::atomic<Phase> phase_{Phase::opening};
  SourceStatus* status_ = nullptr;
  struct TxCallback {
    uint16_t ethdev = 0;
    uint16_t queue = 0;
    const rte_eth_rxtx_callback* callback = nullptr;
  };
  std::vector<TxCallback> tx_callbacks_;  // on every TX queue: OVS-DPDK has one per thread
};

}  // namespace sluice::perf

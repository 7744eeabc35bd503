// Exchange: the generator's two ends of a network, clients on port 0 and backends on port 1 of its
// own devices. Opens every flow through the device under test, learns its translation, and then
// runs trials: packets of both directions at a given rate, each one judged when it comes back.
// One thread, which polls both ports itself.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "dataplane/base/result.h"
#include "nic/dpdk_port_set.h"
#include "perf/arrivals.h"
#include "perf/flow_templates.h"
#include "perf/histogram.h"

namespace sluice::perf {

struct Trial {
  double packets_per_second = 0;  // of both directions together; 0: as fast as packets are taken
  double seconds = 1;
  double patience_seconds = 0.1;  // afterwards: what is not back when none came for so long is lost
};

struct TrialResult {
  double seconds = 0;    // of sending
  uint64_t sent = 0;     // taken by the devices
  uint64_t refused = 0;  // found the device's ring full: as lost as what vanished behind it
  uint64_t bursts = 0, blocked = 0;  // tries to send; of them: met a full ring
  uint64_t skipped = 0;              // never built: the generator itself was late
  uint64_t received = 0;             // good and late ones
  uint64_t longest_gap_ns = 0;       // between two rounds of the generator
  std::array<uint64_t, arrival_names.size()> arrivals{};  // by Arrival
  Histogram latency_ns;

  /// Packets that prove a fault of the device, as a loss alone does not.
  uint64_t wrong() const;
};

class Exchange {
 public:
  /// Ports 0 and 1 of `ports` are the clients' and the backends' side.
  static Result<std::unique_ptr<Exchange>> make(const FlowPlan& plan, nic::PortSet& ports);
  ~Exchange();

  /// Waits for both links, then opens and answers every flow. Fails when none comes back for half
  /// a minute, or one comes back wrong.
  Status open();

  TrialResult run(const Trial& trial);

  /// One packet after each pause of `gap_us` to twice that, awaited for `patience_seconds`. Ends
  /// early when several are lost.
  TrialResult wake(uint32_t count, uint32_t gap_us, double patience_seconds = 1);

 private:
  static constexpr uint16_t burst_max = 32;

  struct Side {
    nic::RxQueue rx;
    nic::TxQueue tx;
    uint32_t at = 0;  // in order_, or position
    std::array<rte_mbuf*, burst_max> waiting{};
    uint16_t waiting_count = 0;
  };

  Exchange(const FlowPlan& plan, nic::PortSet& ports, rte_mempool* pool);

  Status wait_for_links();
  /// Flows that are opened and answered together, as positions in order_.
  struct Block {
    uint32_t from = 0, to = 0;
    uint32_t at = 0;
    uint32_t learned = 0;
  };

  Status learn(Block block, bool answers);
  uint32_t send_learning(Block& block, bool answers, uint32_t count);
  uint32_t take_learned(Block& block, bool answers);
  Status await_buffers();
  void fill_buffers();
  void build(unsigned port, uint16_t count);
  void flush(unsigned port, bool keeps, TrialResult& result);
  void take_back(rte_mbuf* frame, bool from_backend);
  uint16_t receive(unsigned port, TrialResult& result);
  void drain(double patience_seconds, TrialResult& result);
  void drop_strays();

  FlowPlan plan_;
  nic::PortSet& ports_;
  rte_mempool* pool_;  // frames to send: their fillers stay as they are
  FlowTemplates templates_;
  std::unique_ptr<Arrivals> arrivals_;  // once every flow is learned
  std::vector<uint32_t> order_;         // of opening; afterwards the draws of Zipf, or nothing
  std::vector<uint8_t> done_;           // by position: 1 opened, 2 answered
  uint32_t wrong_ = 0;                  // learning frames that came back wrong
  bool resent_ = false;                 // learning frames
  std::array<Side, 2> sides_;
  std::mt19937_64 random_;
};

}  // namespace sluice::perf

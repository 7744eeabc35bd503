// Worker: one poll-mode loop. Each round takes what the devices, the other workers and ctrl have
// for it, a burst at a time; a burst loads the snapshot once. Between bursts: timers, sweeps,
// listings, all in bounded steps. run() belongs to the worker's thread; the rest says who.
#pragma once

#include <rte_mbuf.h>

#include <atomic>
#include <cstdint>

#include "dataplane/dispatch.h"
#include "dataplane/flow_listing.h"
#include "dataplane/forward/burst.h"
#include "dataplane/upkeep.h"
#include "dataplane/worker_links.h"
#include "dataplane/worker_sleep.h"
#include "dataplane/worker_state.h"

namespace sluice::dataplane {

class Worker {
 public:
  /// Both outlive the worker. The reply source of `state` is set here.
  Worker(const WorkerLinks& links, WorkerState& state);

  /// Until request_stop(). A snapshot has been published before.
  void run();

  /// Any thread; wake its Sleeper afterwards.
  void request_stop() { stop_.store(true, std::memory_order_release); }

 private:
  bool poll();
  const model::Snapshot& snapshot();
  void take_up(const model::Snapshot& snapshot);
  uint32_t receive(const nic::RxQueue& queue);
  uint32_t take_handed(unsigned from);
  void finish_burst();
  bool upkeep();
  bool serve_commands();
  void rest(bool found);
  bool has_input() const;

  const WorkerLinks& links_;
  WorkerState& state_;
  std::atomic<bool> stop_{false};
  uint64_t now_ns_ = 0;
  uint32_t now_tick_ = 0;
  uint64_t served_revision_ = ~uint64_t{0};  // no snapshot yet
  uint32_t upkeep_tick_ = 0;
  bool upkeep_left_ = true;
  FlowListing* listing_ = nullptr;
  Upkeep upkeep_;
  WorkerSleep sleep_;
  Dispatch dispatch_;
  forward::Burst burst_;
};

}  // namespace sluice::dataplane

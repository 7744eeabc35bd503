// EngineImpl: the one implementation of Engine. engine.cc holds its life (memory, start, stop,
// publish), engine_channels.cc what flows between ctrl and the workers. ctrl thread, except where
// engine.h says otherwise.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "dataplane/engine.h"
#include "dataplane/engine_worker.h"
#include "dataplane/flow_listing.h"
#include "dataplane/snapshot_keeper.h"
#include "dataplane/wire/toeplitz.h"
#include "nic/dpdk_port_set.h"

namespace sluice::dataplane {

/// A listing on its way through a worker.
struct PendingListing {
  std::unique_ptr<FlowListing> listing;
  std::function<void(FlowPage)> done;
};

class EngineImpl final : public Engine {
 public:
  EngineImpl(const EngineOptions& options, nic::DpdkPortSet& ports)
      : options_(options), ports_(ports), shared_(std::make_unique<Shared>(options, ports)) {}
  ~EngineImpl() override;

  Status allocate();
  Status start(std::shared_ptr<const model::Snapshot> first) override;
  void stop() override;
  void publish(std::shared_ptr<const model::Snapshot> next) override;
  size_t reclaim() override { return shared_->snapshots.reclaim(); }
  unsigned worker_count() const override { return static_cast<unsigned>(shared_->workers.size()); }
  Acknowledgement acknowledgement(unsigned worker) const override {
    return shared_->workers[worker]->acknowledgement.load();
  }
  const WorkerCounters& counters(unsigned worker) const override {
    return *shared_->workers[worker]->counters;
  }
  int punt_fd() const override { return shared_->ctrl.fd(); }
  bool arm_punt_fd() override;
  bool punt_pop(PuntFrame& frame) override;
  void punt_release(PuntFrame& frame) override;
  bool inject(uint8_t port, std::span<const uint8_t> frame) override;
  void list_flows(const FlowQuery& query, std::function<void(FlowPage)> done) override;
  void poll_replies() override;

 private:
  /// Everything that a worker may touch; kept for ever when one does not stop.
  struct Shared {
    wire::Toeplitz toeplitz;
    flow::Owner owner;
    SnapshotKeeper snapshots;
    RingMatrix handoff, transmit;
    Sleeper ctrl;
    std::vector<std::unique_ptr<EngineWorker>> workers;
    std::vector<PendingListing> listings;

    Shared(const EngineOptions& options, const nic::DpdkPortSet&)
        : toeplitz(nic::rss_key),
          owner(toeplitz, static_cast<unsigned>(options.worker_lcores.size())) {}
  };

  void link(EngineWorker& worker, unsigned number);
  bool wait_for(const EngineWorker& worker, std::chrono::steady_clock::time_point deadline);
  void drain();

  EngineOptions options_;
  nic::DpdkPortSet& ports_;
  std::unique_ptr<Shared> shared_;
  bool running_ = false;
  bool hung_ = false;
  unsigned punt_turn_ = 0;
};

}  // namespace sluice::dataplane

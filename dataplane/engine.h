// Engine: the packet side of sluiced as ctrl sees it, free of DPDK headers. It owns the workers,
// the snapshot slot and the rings between them. All calls come from the ctrl thread unless a
// comment says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/result.h"
#include "dataplane/flow/flow_record.h"
#include "dataplane/model/snapshot.h"
#include "dataplane/worker_counters.h"

namespace sluice::nic {
class PortSet;
}

namespace sluice::dataplane {

enum class Idle : uint8_t { busy, adaptive };

struct EngineOptions {
  std::vector<unsigned> worker_lcores;  // EAL lcore ids, one worker each
  Idle idle = Idle::busy;
  uint32_t flows_max = 1u << 20;  // per worker and family
  model::SnatPortSet snat_ports;  // ports that SNAT may use
};

/// A worker's acknowledgement of a published snapshot.
struct Acknowledgement {
  uint64_t revision = 0;  // newest snapshot that this worker serves; it reads no older one
  uint64_t generation = 0;
  uint64_t at_ns = 0;  // CLOCK_MONOTONIC when it took it up
};

/// A frame handed to the kernel. Valid until release().
struct PuntFrame {
  uint8_t port = 0;
  std::span<const uint8_t> bytes;
  void* handle = nullptr;
};

/// One line of `sluice flows`.
struct FlowInfo {
  uint16_t worker = 0;
  uint8_t protocol = 0;
  flow::FlowState state = flow::FlowState::free;
  Endpoint client, virtual_address, snat, backend;
  uint16_t ref = 0;
  uint16_t backend_id = 0;
  uint64_t revision = 0;
  uint32_t idle_ms = 0;
};

struct FlowQuery {
  uint64_t cursor = 0;   // 0 starts; continue with FlowPage::next
  uint32_t limit = 100;  // at most 4096
  int32_t ref = -1;      // only this ref
  int32_t backend = -1;  // only this backend id
};

struct FlowPage {
  std::vector<FlowInfo> flows;
  uint64_t next = 0;  // 0: no more
};

class Engine {
 public:
  /// Allocates tables and rings (hugepages) for the ports in `ports`, which outlives the engine.
  static Result<std::unique_ptr<Engine>> create(const EngineOptions& options, nic::PortSet& ports);
  virtual ~Engine() = default;

  /// Launches the workers on `first`.
  virtual Status start(std::shared_ptr<const model::Snapshot> first) = 0;
  /// Stops the workers within a second and frees what they held.
  virtual void stop() = 0;

  /// One store. Wakes sleeping workers. The engine keeps `next` alive until no worker reads it.
  virtual void publish(std::shared_ptr<const model::Snapshot> next) = 0;
  /// Drops snapshots that no worker reads any more; call now and then. Returns how many remain.
  virtual size_t reclaim() = 0;

  virtual unsigned worker_count() const = 0;
  virtual Acknowledgement acknowledgement(unsigned worker) const = 0;  // any thread
  virtual const WorkerCounters& counters(unsigned worker) const = 0;   // any thread

  // The slow path. punt_fd() is an eventfd that becomes readable when frames wait.
  virtual int punt_fd() const = 0;
  /// Call before sleeping on punt_fd(); returns false when frames already wait.
  virtual bool arm_punt_fd() = 0;
  virtual bool punt_pop(PuntFrame& frame) = 0;
  virtual void punt_release(PuntFrame& frame) = 0;
  /// Copies a frame from the kernel to be sent on `port`; false when the ring or pool is full.
  virtual bool inject(uint8_t port, std::span<const uint8_t> frame) = 0;

  /// Asks the workers for flows; `done` is called from poll_replies(). One page spans at most one
  /// worker; the cursor walks through all of them.
  virtual void list_flows(const FlowQuery& query, std::function<void(FlowPage)> done) = 0;
  /// Delivers replies of workers to rare commands. Call from the ctrl loop.
  virtual void poll_replies() = 0;
};

}  // namespace sluice::dataplane

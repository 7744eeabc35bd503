// EngineRig: a real engine with real workers on two "ring" ports, of which the test holds the far
// ends: it puts frames on the wire and takes what was sent. One EAL per test program; two cores
// are enough for any number of workers.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/engine.h"
#include "nic/dpdk_port_set.h"
#include "tests/dataplane/snapshot_builder.h"

namespace sluice::test {

inline constexpr unsigned rig_workers_max = 4;

/// Registers the start of the EAL (root, 192 MB of hugepages) before the first test.
void use_engine_eal();

/// Waits until `done` or for `timeout_ms`; the last value of `done`.
bool eventually(const std::function<bool()>& done, int timeout_ms = 5000);

/// The kernel's id of the thread of worker `number` (lcore number + 1).
pid_t worker_thread(unsigned number);

/// Stops one worker's thread while it lives, wherever it is: a signal handler that blocks.
class HeldWorker {
 public:
  explicit HeldWorker(unsigned number);
  ~HeldWorker();
  HeldWorker(const HeldWorker&) = delete;
  HeldWorker& operator=(const HeldWorker&) = delete;
};

class EngineRig {
 public:
  struct Options {
    unsigned workers = 1;
    dataplane::Idle idle = dataplane::Idle::busy;
    uint32_t flows_max = 4096;
    std::vector<nic::PortOptions> ports = {{"front", "ring:front", 0}, {"back", "ring:back", 0}};
    std::shared_ptr<const model::Snapshot> snapshot = plain_net().finish();
  };

  explicit EngineRig(const Options& options);
  ~EngineRig();

  dataplane::Engine& engine() { return *engine_; }

  /// Puts a frame on the wire of a ring port; false when its ring is full.
  bool send(const char* port, unsigned queue, const Bytes& frame);
  /// Everything that was sent on a ring port and not taken yet.
  std::vector<Bytes> take(const char* port);
  /// Frames that wait to be taken there.
  size_t waiting(const char* port) const;

  uint64_t sum(const std::function<uint64_t(const dataplane::WorkerCounters&)>& read) const;
  uint64_t verdicts(Verdict verdict) const;
  uint64_t received() const;
  /// Packets that got their verdict.
  uint64_t decided() const;
  bool all_acknowledged(uint64_t revision) const;

 private:
  unsigned workers_;
  std::unique_ptr<nic::PortSet> ports_;
  std::unique_ptr<dataplane::Engine> engine_;
};

/// CPU time of this process in nanoseconds.
uint64_t process_cpu_ns();

}  // namespace sluice::test

// WorkerLinks: what connects one worker with the devices and the other threads. Made by the
// engine; the pieces outlive the worker.
#pragma once

#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include <cstdint>
#include <vector>

#include "dataplane/ack_slot.h"
#include "dataplane/engine.h"
#include "dataplane/model/snapshot_slot.h"
#include "dataplane/rings.h"
#include "dataplane/wake.h"
#include "nic/port.h"

namespace sluice::dataplane {

struct WorkerLinks {
  uint16_t worker = 0;
  uint16_t workers = 1;
  Idle idle = Idle::busy;
  bool shares_core = false;  // with another worker or ctrl: yields when it finds nothing
  const nic::WorkerPorts* ports = nullptr;
  const model::SnapshotSlot* snapshots = nullptr;
  rte_rcu_qsbr* qsbr = nullptr;
  const RingMatrix* handoff = nullptr;   // frames to their flow's owner
  const RingMatrix* transmit = nullptr;  // frames to a worker with a TX queue
  rte_ring* punt = nullptr;              // to ctrl
  rte_ring* inject = nullptr;            // from ctrl
  rte_ring* commands = nullptr;          // FlowListing* from ctrl
  rte_ring* answers = nullptr;           // and back
  std::vector<Sleeper*> sleepers;        // of the workers
  Sleeper* ctrl = nullptr;
  AckSlot* acknowledgement = nullptr;
};

}  // namespace sluice::dataplane

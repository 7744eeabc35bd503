// SnapshotKeeper: publishes snapshots and keeps each alive until no worker reads it any more, by
// quiescent-state reclamation (rte_rcu_qsbr). ctrl thread; workers use slot() and qsbr().
#pragma once

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include <cstdint>
#include <deque>
#include <memory>

#include "dataplane/base/result.h"
#include "dataplane/model/snapshot_slot.h"

namespace sluice::dataplane {

class SnapshotKeeper {
 public:
  /// Once, before anything else.
  Status allocate(unsigned workers);

  /// One store. `next` has a higher revision than all before it.
  void publish(std::shared_ptr<const model::Snapshot> next);

  /// Drops what no worker reads any more; returns how many old snapshots remain.
  size_t reclaim();

  const model::SnapshotSlot& slot() const { return slot_; }
  rte_rcu_qsbr* qsbr() const { return qsbr_.get(); }

 private:
  struct QsbrDeleter {
    void operator()(rte_rcu_qsbr* qsbr) const { rte_free(qsbr); }
  };
  struct Retired {
    uint64_t token = 0;
    std::shared_ptr<const model::Snapshot> snapshot;
  };

  std::unique_ptr<rte_rcu_qsbr, QsbrDeleter> qsbr_;
  model::SnapshotSlot slot_;
  std::shared_ptr<const model::Snapshot> current_;
  std::deque<Retired> retired_;  // oldest first
};

}  // namespace sluice::dataplane

// SnapshotSlot: the one pointer between ctrl and the workers. ctrl stores (release), a worker
// loads (acquire) once per burst and keeps no other pointer.
#pragma once

#include <atomic>

#include "dataplane/model/snapshot.h"

namespace sluice::model {

class SnapshotSlot {
 public:
  const Snapshot* load() const { return pointer_.load(std::memory_order_acquire); }
  const Snapshot* exchange(const Snapshot* next) {
    return pointer_.exchange(next, std::memory_order_acq_rel);
  }

 private:
  std::atomic<const Snapshot*> pointer_{nullptr};
};

}  // namespace sluice::model

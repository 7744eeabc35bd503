#include "dataplane/snapshot_keeper.h"

#include <utility>

#include "dataplane/base/assert.h"

namespace sluice::dataplane {

Status SnapshotKeeper::allocate(unsigned workers) {
  const size_t bytes = rte_rcu_qsbr_get_memsize(workers);
  qsbr_.reset(static_cast<rte_rcu_qsbr*>(rte_zmalloc("sluice_qsbr", bytes, RTE_CACHE_LINE_SIZE)));
  if (qsbr_ == nullptr || rte_rcu_qsbr_init(qsbr_.get(), workers) != 0) {
    return fail("no hugepage memory for the workers' bookkeeping: raise memory_mb in [node]");
  }
  return {};
}

void SnapshotKeeper::publish(std::shared_ptr<const model::Snapshot> next) {
  SLUICE_ASSERT(next != nullptr && next->index != nullptr);
  SLUICE_ASSERT(current_ == nullptr || next->revision > current_->revision);
  slot_.exchange(next.get());
  if (current_ != nullptr) {
    retired_.push_back({rte_rcu_qsbr_start(qsbr_.get()), std::move(current_)});
  }
  current_ = std::move(next);
}

size_t SnapshotKeeper::reclaim() {
  while (!retired_.empty() && rte_rcu_qsbr_check(qsbr_.get(), retired_.front().token, false) == 1) {
    retired_.pop_front();
  }
  return retired_.size();
}

}  // namespace sluice::dataplane

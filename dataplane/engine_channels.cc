#include <algorithm>
#include <cstring>

#include "dataplane/engine_impl.h"
#include "dataplane/mbuf_tag.h"

namespace sluice::dataplane {

bool EngineImpl::arm_punt_fd() {
  shared_->ctrl.cancel();
  shared_->ctrl.announce();
  for (const auto& worker : shared_->workers) {
    if (rte_ring_empty(worker->punt.get()) == 0 || rte_ring_empty(worker->answers.get()) == 0) {
      shared_->ctrl.cancel();
      return false;
    }
  }
  return true;
}

bool EngineImpl::punt_pop(PuntFrame& frame) {
  for (unsigned tried = 0; tried < worker_count(); ++tried) {
    rte_ring* ring = shared_->workers[punt_turn_]->punt.get();
    punt_turn_ = punt_turn_ + 1 == worker_count() ? 0 : punt_turn_ + 1;
    void* taken = nullptr;
    if (rte_ring_sc_dequeue(ring, &taken) != 0) continue;
    auto* mbuf = static_cast<rte_mbuf*>(taken);
    frame = {tag_of(mbuf).port, {rte_pktmbuf_mtod(mbuf, const uint8_t*), mbuf->data_len}, mbuf};
    return true;
  }
  return false;
}

void EngineImpl::punt_release(PuntFrame& frame) {
  rte_pktmbuf_free(static_cast<rte_mbuf*>(frame.handle));
  frame = {};
}

bool EngineImpl::inject(uint8_t port, std::span<const uint8_t> frame) {
  if (port >= ports_.ports().size() || frame.size() > UINT16_MAX) return false;
  EngineWorker& sender = *shared_->workers[ports_.worker_ports(0).tx[port].owner];
  rte_mbuf* mbuf = rte_pktmbuf_alloc(sender.links.ports->pool);
  if (mbuf == nullptr) return false;
  char* to = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size()));
  if (to == nullptr) {
    rte_pktmbuf_free(mbuf);
    return false;
  }
  std::memcpy(to, frame.data(), frame.size());
  tag_of(mbuf) = {port, 0, Verdict::none, 0};
  if (rte_ring_sp_enqueue(sender.inject.get(), mbuf) != 0) {
    rte_pktmbuf_free(mbuf);
    return false;
  }
  sender.sleeper.wake();
  return true;
}

void EngineImpl::list_flows(const FlowQuery& query, std::function<void(FlowPage)> done) {
  auto listing = std::make_unique<FlowListing>(query, worker_count());
  if (listing->worker() >= worker_count()) return done({});
  EngineWorker& worker = *shared_->workers[listing->worker()];
  if (rte_ring_sp_enqueue(worker.commands.get(), listing.get()) != 0) {
    // Too many at once: no flows, and the place to ask for again.
    return done({{}, FlowCursor::decode(query.cursor).encode()});
  }
  shared_->listings.push_back({std::move(listing), std::move(done)});
  worker.sleeper.wake();
}

void EngineImpl::poll_replies() {
  for (auto& worker : shared_->workers) {
    void* answer = nullptr;
    while (rte_ring_sc_dequeue(worker->answers.get(), &answer) == 0) {
      const auto found = std::ranges::find_if(
          shared_->listings,
          [&](const PendingListing& pending) { return pending.listing.get() == answer; });
      SLUICE_ASSERT(found != shared_->listings.end());
      PendingListing complete = std::move(*found);
      shared_->listings.erase(found);
      complete.done(complete.listing->take_page());
    }
  }
}

}  // namespace sluice::dataplane

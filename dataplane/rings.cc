#include "dataplane/rings.h"

#include <rte_errno.h>
#include <rte_mbuf.h>

#include <atomic>

namespace sluice::dataplane {

Result<Ring> make_ring(const std::string& name, unsigned slots, int socket) {
  static std::atomic<unsigned> made{0};
  const std::string unique = name + "_" + std::to_string(made.fetch_add(1));
  Ring ring(rte_ring_create(unique.c_str(), slots, socket, RING_F_SP_ENQ | RING_F_SC_DEQ));
  if (ring == nullptr) {
    return fail("no memory for a ring of " + std::to_string(slots) + " slots between workers (" +
                rte_strerror(rte_errno) + "): raise memory_mb in [node]");
  }
  return ring;
}

Result<RingMatrix> RingMatrix::make(const std::string& name, const std::vector<int>& sockets) {
  RingMatrix matrix;
  matrix.workers_ = static_cast<unsigned>(sockets.size());
  for (unsigned from = 0; from < matrix.workers_; ++from) {
    for (unsigned to = 0; to < matrix.workers_; ++to) {
      matrix.rings_.emplace_back();
      if (from == to) continue;
      auto ring = make_ring(name, handoff_ring_slots, sockets[to]);
      if (!ring) return std::unexpected(ring.error());
      matrix.rings_.back() = std::move(*ring);
    }
  }
  return matrix;
}

void drain_frames(rte_ring* ring) {
  void* frame = nullptr;
  while (ring != nullptr && rte_ring_sc_dequeue(ring, &frame) == 0) {
    rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
  }
}

}  // namespace sluice::dataplane

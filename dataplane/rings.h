// Rings: the single-producer, single-consumer queues between threads. Made by the engine before
// the workers start, freed after they have stopped. A full ring is a counted verdict, never a wait.
#pragma once

#include <rte_ring.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/result.h"

namespace sluice::dataplane {

struct RingDeleter {
  void operator()(rte_ring* ring) const { rte_ring_free(ring); }
};
using Ring = std::unique_ptr<rte_ring, RingDeleter>;

inline constexpr unsigned handoff_ring_slots = 1024;
inline constexpr unsigned punt_ring_slots = 2048;
inline constexpr unsigned inject_ring_slots = 1024;
inline constexpr unsigned command_ring_slots = 64;

/// `slots`: a power of two. `name` is made unique in the process.
Result<Ring> make_ring(const std::string& name, unsigned slots, int socket);

/// One ring from every worker to every other.
class RingMatrix {
 public:
  static Result<RingMatrix> make(const std::string& name, const std::vector<int>& sockets);

  /// Null when `from` == `to`.
  rte_ring* at(unsigned from, unsigned to) const { return rings_[from * workers_ + to].get(); }

 private:
  unsigned workers_ = 0;
  std::vector<Ring> rings_;
};

/// Frees the frames that wait in a ring of mbufs. No worker may run.
void drain_frames(rte_ring* ring);

}  // namespace sluice::dataplane

// Buffer pools: one of DPDK's mbuf pools per NUMA socket, made once at start for all ports.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/base/result.h"

struct rte_mempool;

namespace sluice::nic {

struct BufferPoolOptions {
  std::string name;
  uint32_t buffers = 0;
  uint32_t frame_bytes_max = 0;  // headroom included
  int socket = 0;
};

/// Bytes of hugepage memory that such a pool takes, about.
uint64_t buffer_pool_bytes(const BufferPoolOptions& options);

/// The pool lies in one piece of memory, one page at most per buffer, as AF_XDP needs it. Where
/// several lcores share a core its ring tolerates threads that are preempted in the middle.
Result<rte_mempool*> make_buffer_pool(const BufferPoolOptions& options);

/// True when two lcores of the EAL may run on the same core.
bool lcores_share_a_core();

}  // namespace sluice::nic

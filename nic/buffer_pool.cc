#include "nic/buffer_pool.h"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <sched.h>

#include <algorithm>

namespace sluice::nic {
namespace {

constexpr unsigned cached_buffers = 256;  // per lcore

uint32_t data_room(const BufferPoolOptions& options) {
  constexpr uint32_t line = RTE_CACHE_LINE_SIZE;
  const uint32_t rounded = (options.frame_bytes_max + line - 1) / line * line;
  return std::max<uint32_t>(rounded, RTE_MBUF_DEFAULT_BUF_SIZE);
}

// No spreading over memory channels: its padding would push a buffer past the page that AF_XDP
// allows.
constexpr unsigned pool_flags = RTE_MEMPOOL_F_NO_SPREAD;

uint32_t element_bytes(const BufferPoolOptions& options) {
  return static_cast<uint32_t>(sizeof(rte_mbuf)) + data_room(options);
}

}  // namespace

uint64_t buffer_pool_bytes(const BufferPoolOptions& options) {
  rte_mempool_objsz size{};
  rte_mempool_calc_obj_size(element_bytes(options), pool_flags, &size);
  return uint64_t{options.buffers} * size.total_size;
}

bool lcores_share_a_core() {
  cpu_set_t seen;
  CPU_ZERO(&seen);
  unsigned lcore = 0;
  RTE_LCORE_FOREACH(lcore) {
    cpu_set_t own = rte_lcore_cpuset(lcore);
    cpu_set_t shared;
    CPU_AND(&shared, &seen, &own);
    if (CPU_COUNT(&shared) != 0) return true;
    CPU_OR(&seen, &seen, &own);
  }
  return false;
}

Result<rte_mempool*> make_buffer_pool(const BufferPoolOptions& options) {
  rte_mempool* pool = rte_mempool_create_empty(
      options.name.c_str(), options.buffers, element_bytes(options), cached_buffers,
      sizeof(rte_pktmbuf_pool_private), options.socket, pool_flags);
  if (pool == nullptr) {
    return fail(fmt::format("cannot make a pool of {} packet buffers: {}", options.buffers,
                            rte_strerror(rte_errno)));
  }
  int status = rte_mempool_set_ops_byname(
      pool, lcores_share_a_core() ? "ring_mt_rts" : "ring_mp_mc", nullptr);
  rte_pktmbuf_pool_private shape{};
  shape.mbuf_data_room_size = static_cast<uint16_t>(data_room(options));
  rte_pktmbuf_pool_init(pool, &shape);
  if (status == 0) status = rte_mempool_populate_default(pool);
  if (status < 0) {
    rte_mempool_free(pool);
    return fail(fmt::format("{} packet buffers need {} MB of hugepages: {}; raise memory_mb",
                            options.buffers, buffer_pool_bytes(options) >> 20,
                            rte_strerror(-status)));
  }
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  return pool;
}

}  // namespace sluice::nic

#include "dataplane/worker.h"

#include <sched.h>

#include "dataplane/base/clock.h"
#include "dataplane/mbuf_tag.h"
#include "dataplane/pipeline.h"

namespace sluice::dataplane {
namespace {

constexpr uint16_t burst_max = forward::burst_packets_max;

bool take_reply_frame(void* context, forward::Frame& frame) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(static_cast<rte_mempool*>(context));
  if (mbuf == nullptr) return false;
  frame.data = rte_pktmbuf_mtod(mbuf, uint8_t*);
  frame.capacity = rte_pktmbuf_tailroom(mbuf);
  frame.handle = mbuf;
  return true;
}

uint8_t flags_of(const rte_mbuf& mbuf) {
  return nic::bad_l4_checksum(mbuf) ? forward::bad_l4_checksum_reported : 0;
}

[[gnu::always_inline]] inline forward::Frame frame_of(rte_mbuf* mbuf, uint8_t port, uint8_t flags) {
  // Headers and payload in one piece; what does not fit is judged by its first piece, which is
  // shorter than its headers say.
  if (mbuf->nb_segs > 1) [[unlikely]]
    rte_pktmbuf_linearize(mbuf);
  forward::Frame frame;
  frame.data = rte_pktmbuf_mtod(mbuf, uint8_t*);
  frame.length = mbuf->data_len;
  frame.port = port;
  frame.flags = flags;
  frame.handle = mbuf;
  return frame;
}

}  // namespace

Worker::Worker(const WorkerLinks& links, WorkerState& state)
    : links_(links), state_(state), sleep_(links), dispatch_(links, state.counters) {
  state_.reply_source = {links.ports->pool, take_reply_frame};
}

void Worker::run() {
  rte_rcu_qsbr_thread_register(links_.qsbr, links_.worker);
  rte_rcu_qsbr_thread_online(links_.qsbr, links_.worker);
  uint64_t round_began = cycles_now();
  while (!stop_.load(std::memory_order_relaxed)) {
    now_ns_ = monotonic_ns(round_began);
    now_tick_ = static_cast<uint32_t>(now_ns_ / tick_ns);
    const bool found = poll();
    rte_rcu_qsbr_quiescent(links_.qsbr, links_.worker);
    rest(found);
    const uint64_t round_ended = cycles_now();
    Counter& cycles = found ? state_.counters.busy_cycles : state_.counters.idle_cycles;
    cycles.add(round_ended - round_began);
    state_.counters.loops.add(1);
    round_began = round_ended;
  }
  rte_rcu_qsbr_thread_offline(links_.qsbr, links_.worker);
  rte_rcu_qsbr_thread_unregister(links_.qsbr, links_.worker);
}

/// One round; true when it found any work.
bool Worker::poll() {
  snapshot();  // also an idle worker acknowledges
  uint32_t work = 0;
  for (const nic::RxQueue& queue : links_.ports->rx) work += receive(queue);
  for (unsigned from = 0; from < links_.workers; ++from) {
    if (from != links_.worker) work += take_handed(from);
  }
  work += dispatch_.send_for_others();
  work += dispatch_.send_injected();
  const bool busy = upkeep();
  return serve_commands() || busy || work != 0;
}

/// The snapshot for the next burst. Told apart by revision: a new one may lie where an old one lay.
const model::Snapshot& Worker::snapshot() {
  const model::Snapshot& current = *links_.snapshots->load();
  if (current.revision != served_revision_) [[unlikely]]
    take_up(current);
  return current;
}

void Worker::take_up(const model::Snapshot& snapshot) {
  upkeep_.take_up(snapshot, state_);
  upkeep_left_ = true;
  served_revision_ = snapshot.revision;
  // No decision under this snapshot bears an earlier time than its acknowledgement.
  now_ns_ = monotonic_ns_now();
  links_.acknowledgement->store({snapshot.revision, snapshot.generation, now_ns_});
}

uint32_t Worker::receive(const nic::RxQueue& queue) {
  std::array<rte_mbuf*, burst_max> frames;
  const uint16_t count = nic::rx_burst(queue, frames.data(), burst_max);
  if (count == 0) return 0;
  burst_.clear();
  burst_.size = count;
  const uint8_t port = queue.port;
  uint64_t bytes = 0;
  for (uint16_t i = 0; i < count; ++i) {
    bytes += frames[i]->pkt_len;
    burst_.frames[i] = frame_of(frames[i], port, flags_of(*frames[i]));
  }
  state_.counters.rx_packets.add(count);
  state_.counters.ports[port].rx_packets.add(count);
  state_.counters.ports[port].rx_bytes.add(bytes);
  finish_burst();
  return count;
}

uint32_t Worker::take_handed(unsigned from) {
  std::array<rte_mbuf*, burst_max> frames;
  const uint32_t count =
      rte_ring_sc_dequeue_burst(links_.handoff->at(from, links_.worker),
                                reinterpret_cast<void**>(frames.data()), burst_max, nullptr);
  if (count == 0) return 0;
  burst_.clear();
  burst_.size = count;
  burst_.handed_in = true;
  for (uint32_t i = 0; i < count; ++i) {
    const MbufTag tag = tag_of(frames[i]);
    burst_.frames[i] = frame_of(frames[i], tag.port, tag.flags);
  }
  state_.counters.handoff_in.add(count);
  finish_burst();
  return count;
}

void Worker::finish_burst() {
  const model::Snapshot& current = snapshot();
  burst_.now_ns = now_ns_;
  burst_.now_tick = now_tick_;
  run_pipeline(burst_, current, state_);
  dispatch_.send_burst(burst_);
  account(burst_, state_);
}

/// Once a tick, and in every round while work is left over. True when there was work.
bool Worker::upkeep() {
  if (now_tick_ == upkeep_tick_ && !upkeep_left_) return false;
  upkeep_tick_ = now_tick_;
  upkeep_left_ = upkeep_.step(snapshot(), state_, now_tick_);
  return upkeep_left_;
}

/// One bounded step of one listing. True while there is more to do.
bool Worker::serve_commands() {
  if (listing_ == nullptr) {
    if (rte_ring_sc_dequeue(links_.commands, reinterpret_cast<void**>(&listing_)) != 0) {
      return false;
    }
  }
  if (listing_->step(state_, served_revision_, now_tick_) &&
      rte_ring_sp_enqueue(links_.answers, listing_) == 0) {
    listing_ = nullptr;
    links_.ctrl->wake();
  }
  return true;
}

void Worker::rest(bool found) {
  if (found) {
    sleep_.found_work();
    return;
  }
  if (links_.shares_core) sched_yield();
  if (links_.idle == Idle::busy || !sleep_.is_due(now_ns_)) return;
  Sleeper& sleeper = *links_.sleepers[links_.worker];
  sleeper.announce();
  if (!has_input()) {
    state_.counters.sleeps.add(1);
    rte_rcu_qsbr_thread_offline(links_.qsbr, links_.worker);
    sleep_.sleep();
    rte_rcu_qsbr_thread_online(links_.qsbr, links_.worker);
  }
  sleeper.cancel();
}

/// Whatever other threads may have left for this one. Devices wake it by their fds.
bool Worker::has_input() const {
  if (stop_.load(std::memory_order_acquire) || upkeep_left_ || listing_ != nullptr) return true;
  if (links_.snapshots->load()->revision != served_revision_) return true;
  if (rte_ring_empty(links_.inject) == 0 || rte_ring_empty(links_.commands) == 0) return true;
  for (unsigned from = 0; from < links_.workers; ++from) {
    if (from == links_.worker) continue;
    if (rte_ring_empty(links_.handoff->at(from, links_.worker)) == 0) return true;
    if (rte_ring_empty(links_.transmit->at(from, links_.worker)) == 0) return true;
  }
  return false;
}

}  // namespace sluice::dataplane

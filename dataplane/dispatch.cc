#include "dataplane/dispatch.h"

#include <algorithm>
#include <bit>

#include "dataplane/mbuf_tag.h"

namespace sluice::dataplane {
namespace {

using forward::Burst;

rte_mbuf* mbuf_of(const forward::Frame& frame) { return static_cast<rte_mbuf*>(frame.handle); }

/// Calls `visit(bit)` for every set bit and clears them.
template <typename Bits, typename Visit>
void take_bits(Bits& bits, const Visit& visit) {
  for (Bits left = bits; left != 0; left &= left - 1) {
    visit(static_cast<uint8_t>(std::countr_zero(left)));
  }
  bits = 0;
}

}  // namespace

Dispatch::Dispatch(const WorkerLinks& links, WorkerCounters& counters)
    : links_(links), counters_(counters) {}

void Dispatch::send_burst(Burst& burst) {
  sort(burst);
  add_replies(burst);
  if (owners_used_ != 0) flush_handoffs(burst);
  flush_ports(burst);
  if (punt_count_ != 0) flush_punts(burst);
  free_drops();
  if (to_wake_ != 0) wake_others();
}

/// Puts every frame of the burst where it goes, which nearly always is a port.
void Dispatch::sort(Burst& burst) {
  const uint32_t ports = links_.ports->port_count;
  uint32_t used = 0;
  for (uint32_t i = 0; i < burst.size; ++i) {
    const bool leaves = disposition_of(burst.verdicts[i]) == Disposition::forward;
    if (!leaves || burst.egress[i] >= ports) [[unlikely]] {
      sort_rare(burst, i);
      continue;
    }
    outboxes_[burst.egress[i]].add(mbuf_of(burst.frames[i]), static_cast<uint8_t>(i));
    used |= 1u << burst.egress[i];
  }
  ports_used_ |= used;
}

void Dispatch::sort_rare(Burst& burst, uint32_t index) {
  const auto packet = static_cast<uint8_t>(index);
  if (burst.is_handed_on(index)) {
    const uint16_t owner = burst.owners[index];
    Handoff& handoff = handoffs_[owner];
    handoff.packets[handoff.count++] = packet;
    owners_used_ |= uint64_t{1} << owner;
    return;
  }
  switch (disposition_of(burst.verdicts[index])) {
    case Disposition::punt:
      punts_[punt_count_++] = packet;
      break;
    case Disposition::forward:
      burst.verdicts[index] = Verdict::no_device;
      [[fallthrough]];
    case Disposition::drop:
    case Disposition::none:  // account() asserts that there is none
      drop(mbuf_of(burst.frames[index]));
      break;
  }
}

void Dispatch::add_replies(Burst& burst) {
  replies_staged_ = burst.reply_count != 0;
  for (uint32_t i = 0; i < burst.reply_count; ++i) {
    const forward::Frame& reply = burst.replies[i];
    rte_mbuf* frame = mbuf_of(reply);
    frame->data_len = reply.length;
    frame->pkt_len = reply.length;
    stage(reply.port, frame, reply_packet);
  }
  burst.reply_count = 0;
}

void Dispatch::stage(uint8_t port, rte_mbuf* frame, uint8_t packet) {
  outboxes_[port].add(frame, packet);
  ports_used_ |= 1u << port;
}

void Dispatch::flush_handoffs(Burst& burst) {
  take_bits(owners_used_, [&](uint8_t owner) {
    Handoff& handoff = handoffs_[owner];
    std::array<void*, forward::burst_packets_max> frames;
    for (uint32_t i = 0; i < handoff.count; ++i) {
      const forward::Frame& frame = burst.frames[handoff.packets[i]];
      tag_of(mbuf_of(frame)) = {frame.port, frame.flags, Verdict::none, 0};
      frames[i] = frame.handle;
    }
    rte_ring* ring = links_.handoff->at(links_.worker, owner);
    const uint32_t taken = rte_ring_sp_enqueue_burst(ring, frames.data(), handoff.count, nullptr);
    for (uint32_t i = taken; i < handoff.count; ++i) {
      const uint8_t packet = handoff.packets[i];
      burst.handed_on &= ~(1u << packet);
      burst.verdicts[packet] = Verdict::handoff_full;
      drop(mbuf_of(burst.frames[packet]));
    }
    counters_.handoff_out.add(taken);
    handoff.count = 0;
    to_wake_ |= uint64_t{1} << owner;
  });
}

void Dispatch::flush_punts(Burst& burst) {
  std::array<void*, forward::burst_packets_max> frames;
  for (uint32_t i = 0; i < punt_count_; ++i) {
    const forward::Frame& frame = burst.frames[punts_[i]];
    tag_of(mbuf_of(frame)) = {frame.port, frame.flags, Verdict::none, 0};
    frames[i] = frame.handle;
  }
  const uint32_t taken =
      rte_ring_sp_enqueue_burst(links_.punt, frames.data(), punt_count_, nullptr);
  for (uint32_t i = taken; i < punt_count_; ++i) {
    burst.verdicts[punts_[i]] = Verdict::punt_full;
    drop(mbuf_of(burst.frames[punts_[i]]));
  }
  punt_count_ = 0;
  links_.ctrl->wake();
}

void Dispatch::flush_ports(Burst& burst) {
  take_bits(ports_used_, [&](uint8_t port) {
    Outbox& box = outboxes_[port];
    const uint32_t taken =
        links_.ports->owns_tx(port) ? flush_device(port, box) : flush_to_worker(port, box, burst);
    if (replies_staged_) [[unlikely]] {
      const auto first = box.packets.begin();
      counters_.replies.add(static_cast<uint64_t>(std::count(first, first + taken, reply_packet)));
    }
    for (uint32_t i = taken; i < box.count; ++i) {
      if (box.packets[i] != reply_packet) burst.verdicts[box.packets[i]] = Verdict::tx_full;
      drop(box.frames[i]);
    }
    box.clear();
  });
}

/// Returns how many frames of the box the device took.
uint32_t Dispatch::flush_device(uint8_t port, Outbox& box) {
  uint32_t sent = 0;
  for (unsigned tries = 0; sent < box.count && tries < tx_tries_max;) {
    const uint16_t now = nic::tx_burst(links_.ports->tx[port], box.frames.data() + sent,
                                       static_cast<uint16_t>(box.count - sent));
    sent += now;
    tries = now == 0 ? tries + 1 : 0;
  }
  uint64_t bytes = box.bytes;  // what was taken may not be looked at any more
  for (uint32_t i = sent; i < box.count; ++i) bytes -= box.frames[i]->pkt_len;
  counters_.ports[port].tx_packets.add(sent);
  counters_.ports[port].tx_bytes.add(bytes);
  return sent;
}

/// Returns how many frames of the box another worker is going to send; it counts their verdicts.
uint32_t Dispatch::flush_to_worker(uint8_t port, Outbox& box, Burst& burst) {
  const uint16_t sender = links_.ports->tx[port].owner;
  for (uint32_t i = 0; i < box.count; ++i) {
    const uint8_t packet = box.packets[i];
    const Verdict verdict = packet == reply_packet ? Verdict::none : burst.verdicts[packet];
    tag_of(box.frames[i]) = {port, 0, verdict, 0};
  }
  rte_ring* ring = links_.transmit->at(links_.worker, sender);
  const uint32_t taken = rte_ring_sp_enqueue_burst(
      ring, reinterpret_cast<void* const*>(box.frames.data()), box.count, nullptr);
  for (uint32_t i = 0; i < taken; ++i) {
    const uint8_t packet = box.packets[i];
    if (packet == reply_packet) continue;
    burst.hand_on(packet, sender);
  }
  counters_.tx_handoff_out.add(taken);
  to_wake_ |= uint64_t{1} << sender;
  return taken;
}

uint32_t Dispatch::send_for_others() {
  uint32_t total = 0;
  for (unsigned from = 0; from < links_.workers; ++from) {
    if (from == links_.worker) continue;
    total += send_tagged(links_.transmit->at(from, links_.worker), false);
  }
  return total;
}

uint32_t Dispatch::send_injected() { return send_tagged(links_.inject, true); }

/// One burst of frames that say themselves where they go (MbufTag).
uint32_t Dispatch::send_tagged(rte_ring* ring, bool injected) {
  std::array<rte_mbuf*, forward::burst_packets_max> frames;
  const uint32_t count = rte_ring_sc_dequeue_burst(ring, reinterpret_cast<void**>(frames.data()),
                                                   frames.size(), nullptr);
  if (count == 0) return 0;
  for (uint32_t i = 0; i < count; ++i) {
    stage(tag_of(frames[i]).port, frames[i], static_cast<uint8_t>(tag_of(frames[i]).verdict));
  }
  take_bits(ports_used_, [&](uint8_t port) {
    Outbox& box = outboxes_[port];
    const uint32_t sent = flush_device(port, box);
    if (injected) counters_.injected.add(sent);
    for (uint32_t i = 0; i < box.count; ++i) {
      const auto verdict = static_cast<Verdict>(box.packets[i]);
      if (i >= sent) drop(box.frames[i]);
      if (verdict == Verdict::none) continue;
      counters_.verdicts[static_cast<size_t>(i < sent ? verdict : Verdict::tx_full)].add(1);
    }
    box.clear();
  });
  free_drops();
  return count;
}

void Dispatch::free_drops() {
  if (drop_count_ != 0) rte_pktmbuf_free_bulk(drops_.data(), drop_count_);
  drop_count_ = 0;
}

void Dispatch::wake_others() {
  take_bits(to_wake_, [&](uint8_t worker) { links_.sleepers[worker]->wake(); });
}

}  // namespace sluice::dataplane

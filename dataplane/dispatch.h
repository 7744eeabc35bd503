// Dispatch: gives frames away: to devices, to the owner of their flow, to a worker with a TX queue,
// to ctrl, or back to their pool. Whoever lets a frame go counts its verdict. One worker.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>

#include "dataplane/forward/burst.h"
#include "dataplane/worker_counters.h"
#include "dataplane/worker_links.h"

namespace sluice::dataplane {

class Dispatch {
 public:
  Dispatch(const WorkerLinks& links, WorkerCounters& counters);

  /// Gives away every frame of a burst that has been through the pipeline. Changes the verdicts of
  /// those that nobody took (tx_full, punt_full, handoff_full), and hands on those that
  /// another worker is to send, which counts them.
  void send_burst(forward::Burst& burst);

  /// Sends frames that other workers handed over, with their verdicts. Returns how many.
  uint32_t send_for_others();

  /// Sends frames of the kernel. Returns how many.
  uint32_t send_injected();

 private:
  static constexpr uint32_t outbox_frames_max =
      forward::burst_packets_max + forward::burst_replies_max;
  /// Tries without progress before a device's TX ring counts as full.
  static constexpr unsigned tx_tries_max = 8;

  /// Frames for one port.
  struct Outbox {
    uint32_t count = 0;
    uint64_t bytes = 0;
    std::array<rte_mbuf*, outbox_frames_max> frames;
    std::array<uint8_t, outbox_frames_max> packets;  // number in the burst, or reply_packet

    void add(rte_mbuf* frame, uint8_t packet) {
      bytes += frame->pkt_len;
      frames[count] = frame;
      packets[count++] = packet;
    }
    void clear() {
      count = 0;
      bytes = 0;
    }
  };
  static constexpr uint8_t reply_packet = 0xff;

  void sort(forward::Burst& burst);
  void sort_rare(forward::Burst& burst, uint32_t index);
  void add_replies(forward::Burst& burst);
  void stage(uint8_t port, rte_mbuf* frame, uint8_t packet);
  void flush_handoffs(forward::Burst& burst);
  void flush_punts(forward::Burst& burst);
  void flush_ports(forward::Burst& burst);
  uint32_t flush_device(uint8_t port, Outbox& box);
  uint32_t flush_to_worker(uint8_t port, Outbox& box, forward::Burst& burst);
  uint32_t send_tagged(rte_ring* ring, bool injected);
  void drop(rte_mbuf* frame) { drops_[drop_count_++] = frame; }
  void free_drops();
  void wake_others();

  const WorkerLinks& links_;
  WorkerCounters& counters_;
  uint32_t ports_used_ = 0;   // bit per port with a non-empty outbox
  uint64_t owners_used_ = 0;  // bit per worker with handed-off packets
  uint64_t to_wake_ = 0;      // bit per worker that got something
  bool replies_staged_ = false;
  uint32_t punt_count_ = 0;
  uint32_t drop_count_ = 0;
  std::array<Outbox, model::ports_max> outboxes_;
  struct Handoff {
    uint32_t count = 0;
    std::array<uint8_t, forward::burst_packets_max> packets;
  };
  std::array<Handoff, nic::workers_max> handoffs_;
  std::array<uint8_t, forward::burst_packets_max> punts_;
  std::array<rte_mbuf*, 2 * outbox_frames_max> drops_;
};

}  // namespace sluice::dataplane

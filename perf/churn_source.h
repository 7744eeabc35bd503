// ChurnSource: connections that come and go, made on two null ports by RX and TX callbacks on the
// worker's own core: port 0 has the clients, port 1 the backends. Everything that the device under
// test sends is read back, checked and answered, so a connection goes on only as far as its packets
// get through. Counts its own cycles, so that they can be taken off.
//
// One queue a port, used by one thread. Everything else may be called by another.
#pragma once

#include <rte_ethdev.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/counter.h"
#include "dataplane/base/result.h"
#include "perf/conversation.h"

namespace sluice::perf {

struct ChurnOptions {
  Family family = Family::v4;
  uint8_t protocol = protocol_tcp;
  uint32_t listeners = 1;
  uint32_t live = 0;            // connections that are opened first, and kept
  uint32_t concurrent = 4096;   // connections under way at most, a power of two
  uint32_t pings_in_burst = 0;  // of 32 packets that clients send: data on live connections
  uint32_t delay_us = 0;        // between a packet and its answer
  uint32_t patience_ms = 500;   // a connection that gets no further has failed then
};

/// What the source does; set by the controlling thread.
enum class ChurnPhase : uint8_t {
  pause,  // answers only
  fill,   // opens the live connections
  churn,  // opens and closes others, with a flood and pings beside them
  ping,   // one ping more on each live connection
};

struct ChurnCounters {
  Counter live;          // live connections that are open
  Counter opened;        // churn: the backend has had the client's ACK, or its UDP response arrived
  Counter completed;     // churn: every packet of the connection got through
  Counter started;       // churn: first packets sent
  Counter failed;        // churn: no further for `patience_ms`, whatever the reason
  Counter flooded;       // SYNs of the flood sent
  Counter flood_passed;  // ... that reached a backend
  Counter pings, pongs;
  Counter packets;  // given to the device under test
  Counter seen;     // taken from it, each of them checked
  Counter wrong;    // not ours, out of turn, twice, or with other addresses than before
  Counter late;     // of a connection that had failed already
  Counter mixed;    // first packets that show more than one snapshot (see Seen)
  Counter resets;   // RSTs for a client or a backend
  Counter cycles;   // spent in here
};

class ChurnSource {
 public:
  /// "live=1000000,concurrent=4096,proto=tcp,family=4,listeners=1,pings=4,delay_us=0,
  /// patience_ms=500".
  static Result<ChurnOptions> parse_options(const std::string& text);

  explicit ChurnSource(const ChurnOptions& options);
  ChurnSource(const ChurnSource&) = delete;
  ChurnSource& operator=(const ChurnSource&) = delete;

  /// Adds the callbacks; both ports are started.
  Status attach(std::array<uint16_t, 2> ethdevs);

  /// `flood_in_burst`: of 32 packets that clients send, how many are SYNs that nobody answers.
  void set_phase(ChurnPhase phase, uint32_t flood_in_burst);
  const ChurnOptions& options() const { return options_; }
  const ChurnCounters& counters() const { return counters_; }

 private:
  /// One connection under way.
  struct Slot {
    uint64_t endpoints = 0;  // as its backend sees it; 0 before the first packet
    uint64_t moved = 0;      // clock_ at the last packet
    uint32_t id = 0;
    Step next = Step::syn;  // that must arrive
    bool busy = false;
  };
  struct Answer {
    uint64_t due;
    uint16_t bytes;
    std::array<uint8_t, Conversation::frame_bytes_max> frame;
  };
  /// Answers in the order in which they are due: the delay is the same for all.
  struct Answers {
    std::vector<Answer> ring;
    uint64_t head = 0, tail = 0;
  };

  static uint16_t on_rx(uint16_t ethdev, uint16_t queue, rte_mbuf* frames[], uint16_t count,
                        uint16_t count_max, void* source);
  static uint16_t on_tx(uint16_t ethdev, uint16_t queue, rte_mbuf* frames[], uint16_t count,
                        void* source);
  unsigned port_of(uint16_t ethdev) const { return ethdev == ethdevs_[0] ? 0 : 1; }
  void pass_time();
  void count_cycles(uint64_t begin);

  uint16_t give(unsigned port, rte_mbuf* frames[], uint16_t count);
  uint16_t give_answers(unsigned port, rte_mbuf* frames[], uint16_t count);
  uint16_t give_new(rte_mbuf* frames[], uint16_t count);
  std::optional<Message> next_message();
  std::optional<Message> next_live();
  std::optional<Message> next_ping();
  std::optional<Message> next_connection();
  void send(rte_mbuf* frame, const Message& message);
  void fail_one_that_is_stuck();

  void take(unsigned port, const rte_mbuf* frame);
  void take_churn(const Seen& seen, const uint8_t* frame);
  void take_live(const Seen& seen, const uint8_t* frame);
  static bool is_same_as_before(const Seen& seen, uint64_t& endpoints);
  void complete(Slot& slot);
  void answer(const uint8_t* frame, Message message, Step step);

  ChurnOptions options_;
  Conversation conversation_;
  std::array<uint16_t, 2> ethdevs_{};
  std::atomic<ChurnPhase> phase_{ChurnPhase::pause};
  std::atomic<uint32_t> flood_in_burst_{0};
  uint64_t now_ = 0;                   // TSC
  uint64_t clock_ = 0;                 // TSC cycles with this thread on its core, roughly
  uint64_t delay_ = 0, patience_ = 0;  // TSC cycles
  std::array<Answers, 2> answers_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  uint32_t checked_slot_ = 0;
  std::vector<uint64_t> live_;   // endpoints by id, as the backend sees them
  std::vector<Step> live_next_;  // by id; idle: open, and no ping under way
  uint32_t live_started_ = 0, ping_at_ = 0, flood_id_ = 0;
  uint32_t pings_left_ = 0;               // in this burst
  std::atomic<uint64_t> ping_target_{0};  // of ChurnCounters::pings, in ChurnPhase::ping
  ChurnCounters counters_;
};

}  // namespace sluice::perf

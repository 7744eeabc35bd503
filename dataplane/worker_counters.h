// WorkerCounters: what one worker counts. One writer, read by anybody at any time. Indexed by
// identities that ctrl gives out and that survive every snapshot swap.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/base/counter.h"
#include "dataplane/base/verdict.h"
#include "dataplane/model/snapshot.h"

namespace sluice::dataplane {

/// By ref: (route, rule, pool). active connections = decisions - ended (read `ended` first). A
/// connection that a forged RST had ended takes its `ended` back (flow/tcp_state.h).
struct alignas(64) RefCounters {
  Counter decisions;               // connections given a backend of this pool
  Counter ended;                   // of these: closed, expired or reset
  Counter refused;                 // pool empty, no SNAT port, table full ...
  Counter last_decision_ns;        // CLOCK_MONOTONIC
  Counter last_decision_revision;  // snapshot revision that made it
  Counter resets;                  // ended by `--existing reset` or a gone backend
  struct Traffic {
    Counter packets, bytes;
  };
  std::array<Traffic, 2> traffic;  // by flow::Direction: what clients sent, what backends sent
};

struct BackendCounters {
  Counter connections;
  Counter ended;
  Counter unanswered;  // handshakes that it never answered, when they expired
  Counter refused;     // handshakes that it answered with RST
};

struct PortCounters {
  Counter rx_packets, rx_bytes;  // taken from the device by this worker
  Counter tx_packets, tx_bytes;  // accepted by the device
};

struct WorkerCounters {
  std::array<Counter, verdict_count> verdicts;
  std::array<PortCounters, model::ports_max> ports;
  Counter rx_packets;  // from devices and for each: exactly one verdict, here or at the owner
  Counter handoff_out, handoff_in;  // packets given to / taken from the owner
  Counter tx_handoff_out;           // frames sent by a worker that has a TX queue there
  Counter injected;                 // frames of the kernel that were sent
  Counter replies;                  // RST and ICMP that this worker made
  Counter flows_v4, flows_v6;       // now
  Counter flows_evicted;            // ended early because the table was full
  Counter loops, busy_cycles, idle_cycles, sleeps;
  Counter flow_table_collisions;  // both buckets of a key were full
  std::array<RefCounters, model::refs_max> refs;
  std::array<BackendCounters, model::backends_max> backends;
};

}  // namespace sluice::dataplane

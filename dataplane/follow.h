// follow: packets of known flows. Decides whether the flow still stands, whether the packet may
// leave, what it does to the flow's state, and where it goes. The miss path (admit.h) uses the
// same functions one packet at a time.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/forward/burst.h"
#include "dataplane/model/snapshot.h"
#include "dataplane/worker_state.h"

namespace sluice::dataplane {

/// What a snapshot says about a flow that was opened earlier.
enum class Standing : uint8_t {
  current,
  reset,         // ended by an operator (Snapshot::reset_before), or a tombstone
  backend_gone,  // its backend left, or another took over the id
};

/// The tables of a snapshot that say how a flow stands.
struct StandingTables {
  std::span<const model::Backend> backends;
  std::span<const uint64_t> reset_before;

  explicit StandingTables(const model::Snapshot& snapshot)
      : backends(snapshot.backends), reset_before(snapshot.reset_before) {}

  template <typename Tuple>
  [[gnu::always_inline]] inline Standing of(const flow::FlowRecord<Tuple>& record) const {
    if (record.backend >= backends.size()) [[unlikely]]
      return Standing::backend_gone;
    const model::Backend& backend = backends[record.backend];
    if (!backend.present || backend.incarnation != record.incarnation) [[unlikely]] {
      return Standing::backend_gone;
    }
    if (record.state == flow::FlowState::reset) [[unlikely]]
      return Standing::reset;
    if (record.ref >= reset_before.size()) [[likely]]
      return Standing::current;
    // Revisions are compared by their low 32 bits, across the wrap; 0: no reset was asked for.
    const uint64_t before = reset_before[record.ref];
    const auto younger = static_cast<int32_t>(record.revision - static_cast<uint32_t>(before));
    return before != 0 && younger < 0 ? Standing::reset : Standing::current;
  }
};

template <typename Tuple>
inline Standing standing_of(const model::Snapshot& snapshot,
                            const flow::FlowRecord<Tuple>& record) {
  return StandingTables(snapshot).of(record);
}

/// True when the packet ends its flow and asks for a new decision: a SYN on a finished connection
/// (port reuse), and whatever can open a flow when the old one no longer stands. For UDP also
/// packets of backends: their flow just ends.
template <typename Tuple>
bool leaves_flow(const wire::ParsedPacket& packet, const flow::FlowRecord<Tuple>& record,
                 flow::Direction direction, Standing standing);

/// One packet of the flow burst.matches[index], for which leaves_flow() is false. Returns its
/// verdict; for to_backend and to_client the frame is rewritten and burst.egress set.
template <typename Tuple>
Verdict follow_packet(forward::Burst& burst, uint32_t index, const model::Snapshot& snapshot,
                      WorkerState& state);

/// The stage: looks up lists().flows and gives them verdicts, or puts them on lists().misses.
template <typename Tuple>
void follow(forward::Burst& burst, const model::Snapshot& snapshot, WorkerState& state);

/// Whether a packet may leave through `port`: none, ttl_expired, no_device or too_big.
Verdict check_egress(const forward::Frame& frame, const wire::ParsedPacket& packet,
                     const model::Snapshot& snapshot, uint8_t port);

}  // namespace sluice::dataplane

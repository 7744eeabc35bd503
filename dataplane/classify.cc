#include "dataplane/classify.h"

#include "dataplane/lookup.h"
#include "dataplane/model/listener_index.h"

namespace sluice::dataplane {
namespace {

using forward::Burst;

/// Packets ahead whose headers are being fetched while one is parsed.
constexpr uint32_t prefetch_ahead = 6;

/// Fragments carry no ports, so no flow can be found; the kernel reassembles its own.
Verdict fragment_verdict(const wire::ParsedPacket& packet, const model::ListenerIndex& index) {
  const bool is_virtual = packet.family == Family::v4 ? index.is_virtual(packet.v4.destination)
                                                      : index.is_virtual(packet.v6.destination);
  return is_virtual ? Verdict::fragment : Verdict::local_fragment;
}

/// The ownership question for one flow packet; true when it belongs here.
template <typename Tuple>
inline bool is_ours(Burst& burst, uint32_t index, const WorkerState& state) {
  if (burst.handed_in || state.owner.workers() == 1) return true;
  const unsigned owner = state.owner.owner(burst.tuple<Tuple>(index));
  if (owner == state.worker) return true;
  burst.owners[index] = static_cast<uint16_t>(owner);
  return false;
}

template <typename Tuple>
inline void sort_flow(Burst& burst, uint32_t index, const WorkerState& state) {
  if (!is_ours<Tuple>(burst, index, state)) return;
  begin_lookup<Tuple>(burst, index, state);
  forward::FamilyLists& lists = burst.lists<Tuple>();
  lists.flows.add(index);
  if (lists.fetched < record_lead && lists.fetched + bucket_lead < lists.flows.size()) {
    fetch_record<Tuple>(burst, state);
  }
}

}  // namespace

void classify(Burst& burst, const model::Snapshot& snapshot, const WorkerState& state) {
  burst.v4.clear();
  burst.v6.clear();
  const uint32_t first = burst.size < prefetch_ahead ? burst.size : prefetch_ahead;
  for (uint32_t i = 0; i < first; ++i) __builtin_prefetch(burst.frames[i].data);
  for (uint32_t i = 0; i < burst.size; ++i) {
    if (i + prefetch_ahead < burst.size) {
      __builtin_prefetch(burst.frames[i + prefetch_ahead].data);
    }
    const forward::Frame& frame = burst.frames[i];
    wire::ParsedPacket& packet = burst.packets[i];
    Verdict verdict = wire::parse(frame.bytes(), packet);
    burst.owners[i] = forward::owner_here;
    if (verdict == Verdict::none) [[likely]] {
      if (packet.kind != wire::PacketKind::flow) [[unlikely]] {
        verdict = fragment_verdict(packet, *snapshot.index);
      } else if ((frame.flags & forward::bad_l4_checksum_reported) != 0) [[unlikely]] {
        verdict = Verdict::bad_l4_checksum;
      } else if (packet.family == Family::v4) {
        sort_flow<Tuple4>(burst, i, state);
      } else {
        sort_flow<Tuple6>(burst, i, state);
      }
    }
    burst.verdicts[i] = verdict;
  }
}

}  // namespace sluice::dataplane

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

/// True when packet `index` belongs to this worker; else it goes to its owner.
template <typename Tuple>
bool is_ours(Burst& burst, uint32_t index, const WorkerState& state) {
  const unsigned owner = state.owner.owner(burst.tuple<Tuple>(index));
  if (owner == state.worker) return true;
  burst.hand_on(index, static_cast<uint16_t>(owner));
  return false;
}

/// Puts a flow's packet on the list of its family and begins the look-up. Records are fetched as
/// soon as the buckets have had the time to come.
template <typename Tuple>
[[gnu::always_inline]] inline void list_flow(Burst& burst, uint32_t index,
                                             const WorkerState& state) {
  begin_lookup<Tuple>(burst, index, state);
  forward::FamilyLists& lists = burst.lists<Tuple>();
  lists.flows.add(index);
  lists.unfetched.add(index);
  if (index - bucket_lead < record_lead && index - lists.unfetched.first() >= bucket_lead) {
    fetch_record(burst, lists.unfetched.take_first(), state.connections<Tuple>().table());
  }
}

/// A packet that is not of plain IPv4; `may_move`: when it may belong to another worker.
[[gnu::noinline]] void classify_any(Burst& burst, uint32_t index, bool may_move,
                                    const model::Snapshot& snapshot, const WorkerState& state) {
  const forward::Frame& frame = burst.frames[index];
  wire::ParsedPacket& packet = burst.packets[index];
  Verdict verdict = wire::parse_any(frame.bytes(), packet);
  if (verdict == Verdict::none) {
    if (packet.kind != wire::PacketKind::flow) {
      verdict = fragment_verdict(packet, *snapshot.index);
    } else if ((frame.flags & forward::bad_l4_checksum_reported) != 0) {
      verdict = Verdict::bad_l4_checksum;
    }
  }
  burst.verdicts[index] = verdict;
  if (verdict != Verdict::none) return;
  if (packet.family == Family::v4) {
    if (!may_move || is_ours<Tuple4>(burst, index, state)) list_flow<Tuple4>(burst, index, state);
  } else {
    if (!may_move || is_ours<Tuple6>(burst, index, state)) list_flow<Tuple6>(burst, index, state);
  }
}

}  // namespace

void classify(Burst& burst, const model::Snapshot& snapshot, const WorkerState& state) {
  burst.v4.clear();
  burst.v6.clear();
  burst.handed_on = 0;
  burst.verdicts.fill(Verdict::none);
  const bool may_move = !burst.handed_in && state.owner.workers() != 1;
  const uint32_t size = burst.size;
  const uint32_t first = size < prefetch_ahead ? size : prefetch_ahead;
  for (uint32_t i = 0; i < first; ++i) __builtin_prefetch(burst.frames[i].data);
  for (uint32_t i = 0; i < size; ++i) {
    if (i + prefetch_ahead < size) __builtin_prefetch(burst.frames[i + prefetch_ahead].data);
    const forward::Frame& frame = burst.frames[i];
    if (!wire::parse_plain_ipv4(frame.bytes(), burst.packets[i])) [[unlikely]] {
      classify_any(burst, i, may_move, snapshot, state);
      continue;
    }
    if ((frame.flags & forward::bad_l4_checksum_reported) != 0) [[unlikely]] {
      burst.verdicts[i] = Verdict::bad_l4_checksum;
      continue;
    }
    if (may_move && !is_ours<Tuple4>(burst, i, state)) continue;
    list_flow<Tuple4>(burst, i, state);
  }
}

}  // namespace sluice::dataplane

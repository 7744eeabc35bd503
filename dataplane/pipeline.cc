#include "dataplane/pipeline.h"

#include <bit>

#include "dataplane/admit.h"
#include "dataplane/classify.h"
#include "dataplane/follow.h"

namespace sluice::dataplane {
namespace {

/// The stages behind classify, for the packets of one address family.
template <typename Tuple>
void run_family(forward::Burst& burst, const model::Snapshot& snapshot, WorkerState& state) {
  if (burst.lists<Tuple>().flows.empty()) return;
  follow<Tuple>(burst, snapshot, state);
  admit<Tuple>(burst, snapshot, state);
}

}  // namespace

void run_pipeline(forward::Burst& burst, const model::Snapshot& snapshot, WorkerState& state) {
  burst.revision = snapshot.revision;
  burst.reply_count = 0;
  classify(burst, snapshot, state);
  run_family<Tuple4>(burst, snapshot, state);
  run_family<Tuple6>(burst, snapshot, state);
  SLUICE_ASSERT(burst.revision == snapshot.revision);
}

void account(const forward::Burst& burst, WorkerState& state) {
  // Exactly one verdict for each: none is for those that count elsewhere, and for no others.
  SLUICE_ASSERT(burst.packets_with(Verdict::none) == burst.handed_on);
  auto& counters = state.counters.verdicts;
  const auto count = [&](Verdict verdict) {
    const uint32_t packets = burst.packets_with(verdict);
    counters[static_cast<size_t>(verdict)].add(static_cast<uint32_t>(std::popcount(packets)));
    return packets;
  };
  uint32_t left = burst.received() & ~burst.handed_on;
  left &= ~count(Verdict::to_backend);
  left &= ~count(Verdict::to_client);
  while (left != 0) left &= ~count(burst.verdicts[static_cast<size_t>(std::countr_zero(left))]);
}

}  // namespace sluice::dataplane

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
  std::array<uint8_t, verdict_count> tally{};
  std::array<uint32_t, 4> by_disposition{};
  for (uint32_t i = 0; i < burst.size; ++i) {
    const auto verdict = static_cast<size_t>(burst.verdicts[i]);
    ++tally[verdict];
    ++by_disposition[static_cast<size_t>(verdict_dispositions[verdict])];
  }
  const auto handed_on = static_cast<uint32_t>(std::popcount(burst.handed_on));
  const uint32_t decided = by_disposition[static_cast<size_t>(Disposition::forward)] +
                           by_disposition[static_cast<size_t>(Disposition::punt)] +
                           by_disposition[static_cast<size_t>(Disposition::drop)];
  SLUICE_ASSERT(decided + handed_on == burst.size);
  SLUICE_ASSERT(by_disposition[static_cast<size_t>(Disposition::none)] == handed_on);
  for (size_t verdict = 1; verdict < verdict_count; ++verdict) {
    if (tally[verdict] != 0) state.counters.verdicts[verdict].add(tally[verdict]);
  }
}

}  // namespace sluice::dataplane

#include "ctrl/control/history_view.h"

#include <ranges>

namespace sluice::ctrl {

Json verdict_of(Controller& controller, uint64_t generation) {
  if (const auto proof = controller.proofs().current(generation)) return to_string(proof->verdict);
  const Json proof = controller.store().load_proof(generation);
  const bool kept = proof.is_object() && proof.contains("verdict");
  return kept ? proof["verdict"] : Json(to_string(ProofVerdict::not_proved));
}

/// Null for a change that did not ask for it.
Json confirm_of(Controller& controller, const Generation& generation) {
  if (!generation.confirm || generation.confirm->generation != generation.number) return nullptr;
  const Json pending = controller.pending_json();
  Json record = controller.store().load_confirmation(generation.number);
  if (record.is_null()) record = {{"outcome", "awaiting"}};
  if (pending.is_object() && pending["generation"] == generation.number) record.update(pending);
  record["within_ms"] = generation.confirm->within_ms;
  return record;
}

Json history_view(Controller& controller, uint64_t limit) {
  Json generations = Json::array();
  for (const uint64_t number : std::views::reverse(controller.store().numbers())) {
    if (generations.size() >= limit) break;
    const auto generation = controller.store().load(number);
    if (!generation) {
      generations.push_back({{"generation", number},
                             {"time", ""},
                             {"author", ""},
                             {"uid", 0},
                             {"verb", "corrupt"},
                             {"reason", generation.error().message},
                             {"changes", Json::array()},
                             {"confirm", nullptr},
                             {"verdict", to_string(ProofVerdict::not_proved)}});
      continue;
    }
    generations.push_back({{"generation", number},
                           {"time", generation->time},
                           {"author", generation->author.user},
                           {"uid", generation->author.uid},
                           {"verb", generation->verb},
                           {"reason", generation->reason},
                           {"changes", generation->changes},
                           {"verdict", verdict_of(controller, number)},
                           {"confirm", confirm_of(controller, *generation)}});
  }
  return {{"generations", std::move(generations)}};
}

}  // namespace sluice::ctrl

#include "ctrl/control/history_view.h"

#include <ranges>

namespace sluice::ctrl {

Json verdict_of(Controller& controller, uint64_t generation) {
  if (const auto proof = controller.proofs().current(generation)) return to_string(proof->verdict);
  const Json proof = controller.store().load_proof(generation);
  const bool kept = proof.is_object() && proof.contains("verdict");
  return kept ? proof["verdict"] : Json(to_string(ProofVerdict::not_proved));
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
                           {"verdict", verdict_of(controller, number)}});
  }
  return {{"generations", std::move(generations)}};
}

}  // namespace sluice::ctrl

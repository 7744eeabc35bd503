#include "ctrl/control/proof.h"

#include <fmt/format.h>

#include <algorithm>

#include "ctrl/control/proof_record.h"

namespace sluice::ctrl {
namespace {

bool all_acknowledged(const ProofEvidence& evidence) {
  return std::ranges::all_of(evidence.workers, &WorkerEvidence::acknowledged);
}

/// A pool that may get nothing is drained once its connections are gone *and* no worker can still
/// add one, that is, after acknowledgement.
void note_drained(const ProofPlan& plan, ProofEvidence& evidence, const Sample& now,
                  const std::string& wall_time) {
  for (size_t i = 0; i < plan.pools.size(); i++) {
    const auto at = now.refs.find(plan.pools[i].ref);
    if (plan.pools[i].closed_since == 0 || at == now.refs.end()) continue;
    if (at->second.active() == 0) evidence.pools_drained_at.try_emplace(i, wall_time);
  }
  for (size_t i = 0; i < plan.backends.size(); i++) {
    const auto at = now.backends.find(plan.backends[i].id);
    if (at == now.backends.end() || at->second.active() > 0) continue;
    evidence.backends_drained_at.try_emplace(i, wall_time);
  }
}

std::string plural(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string unacknowledged_reason(const ProofPlan& plan, const ProofEvidence& evidence,
                                  const Sample& now) {
  for (size_t worker = 0; worker < evidence.workers.size(); worker++) {
    if (evidence.workers[worker].acknowledged) continue;
    const auto serves = worker < now.workers.size() ? now.workers[worker].generation : 0;
    if (evidence.superseded_by != 0) {
      return fmt::format("generation {} came before worker {} acknowledged", evidence.superseded_by,
                         worker);
    }
    return fmt::format("worker {} has not acknowledged; it still serves generation {}", worker,
                       serves);
  }
  for (size_t worker = 0; worker < evidence.workers.size(); worker++) {
    const auto generation = evidence.workers[worker].generation;
    if (generation != plan.generation) {
      return fmt::format("worker {} went on to generation {} before it was seen to serve this one",
                         worker, generation);
    }
  }
  return {};
}

std::string table_reason(const ProofPlan& plan) {
  for (const ProofPool& pool : plan.pools) {
    if (pool.slots == pool.slots_asked) continue;
    return fmt::format("the published table gives pool {} {} slots, its weight asks for {}",
                       pool.key.pool, pool.slots, pool.slots_asked);
  }
  return {};
}

std::string stale_reason(const ProofPlan& plan, const ProofEvidence& evidence, const Sample& now) {
  for (const ProofPool& pool : plan.pools) {
    if (const uint64_t stale = stale_decisions(pool, evidence, now); stale > 0) {
      return fmt::format("pool {} of route {} got {} after it was closed", pool.key.pool,
                         pool.key.route, plural(stale, "connection"));
    }
  }
  for (const ProofBackend& backend : plan.backends) {
    if (const uint64_t stale = connections_after(backend, evidence, now); stale > 0) {
      return fmt::format("backend {} of pool {} got {} after it was drained",
                         to_string(backend.key.endpoint), backend.key.pool,
                         plural(stale, "connection"));
    }
  }
  return {};
}

std::string draining_reason(const ProofPlan& plan, const ProofEvidence& evidence,
                            const Sample& now) {
  for (size_t i = 0; i < plan.pools.size(); i++) {
    const ProofPool& pool = plan.pools[i];
    if (!pool.must_drain || evidence.pools_drained_at.contains(i)) continue;
    const auto at = now.refs.find(pool.ref);
    const uint64_t active = at == now.refs.end() ? 0 : at->second.active();
    return there_before(active, plan.route.empty()
                                    ? fmt::format("{} (route {})", pool.key.pool, pool.key.route)
                                    : pool.key.pool);
  }
  for (size_t i = 0; i < plan.backends.size(); i++) {
    const ProofBackend& backend = plan.backends[i];
    if (!backend.must_drain || evidence.backends_drained_at.contains(i)) continue;
    const auto at = now.backends.find(backend.id);
    const uint64_t active = at == now.backends.end() ? 0 : at->second.active();
    return there_before(active,
                        fmt::format("{} ({})", to_string(backend.key.endpoint), backend.key.pool));
  }
  return {};
}

}  // namespace

std::string there_before(uint64_t active, std::string_view of) {
  return fmt::format("{} of {} {} there before", plural(active, "connection"), of,
                     active == 1 ? "was" : "were");
}

std::string_view to_string(Existing existing) {
  switch (existing) {
    case Existing::keep:
      return "keep";
    case Existing::drain:
      return "drain";
    case Existing::reset:
      return "reset";
  }
  return "keep";
}

Existing existing_of(std::string_view word) {
  if (word == "drain") return Existing::drain;
  return word == "reset" ? Existing::reset : Existing::keep;
}

std::string_view to_string(ProofVerdict verdict) {
  switch (verdict) {
    case ProofVerdict::not_proved:
      return "not-proved";
    case ProofVerdict::draining:
      return "draining";
    case ProofVerdict::proved:
      return "proved";
  }
  return "not-proved";
}

void observe(const ProofPlan& plan, ProofEvidence& evidence, const Sample& now,
             const std::string& wall_time) {
  evidence.workers.resize(now.workers.size());
  for (size_t worker = 0; worker < now.workers.size(); worker++) {
    WorkerEvidence& seen = evidence.workers[worker];
    const auto& acknowledgement = now.workers[worker];
    if (seen.acknowledged || acknowledgement.revision < plan.revision) continue;
    seen = {.acknowledged = true,
            .at_ns = acknowledgement.at_ns,
            .generation = acknowledgement.generation};
  }
  if (!all_acknowledged(evidence)) return;
  if (!evidence.at_acknowledge) evidence.at_acknowledge = now;
  note_drained(plan, evidence, now, wall_time);
}

Proof evaluate(const ProofPlan& plan, const ProofEvidence& evidence, const Sample& now) {
  Proof proof;
  proof.reason = unacknowledged_reason(plan, evidence, now);
  if (proof.reason.empty()) proof.reason = table_reason(plan);
  if (proof.reason.empty()) proof.reason = stale_reason(plan, evidence, now);
  if (proof.reason.empty()) {
    proof.reason = draining_reason(plan, evidence, now);
    proof.verdict = proof.reason.empty() ? ProofVerdict::proved : ProofVerdict::draining;
    if (proof.verdict == ProofVerdict::draining && evidence.superseded_by != 0) {
      proof.verdict = ProofVerdict::not_proved;
      proof.reason += fmt::format(" and had not ended when generation {} gave it traffic again",
                                  evidence.superseded_by);
    }
  }
  proof.json = proof_record(plan, evidence, now, proof.verdict, proof.reason);
  return proof;
}

}  // namespace sluice::ctrl

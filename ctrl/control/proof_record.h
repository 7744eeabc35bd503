// The record of a proof as the control socket, the state directory and the CLI know it.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "ctrl/control/proof.h"

namespace sluice::ctrl {

/// Decisions for a closed pool that must not be there: those counted since all workers had
/// acknowledged, and at least one for each worker whose last decision was made by the plan's
/// revision or a later one. 0 for a pool that is open.
uint64_t stale_decisions(const ProofPool& pool, const ProofEvidence& evidence, const Sample& now);

/// Connections that a backend got since all workers had acknowledged.
uint64_t connections_after(const ProofBackend& backend, const ProofEvidence& evidence,
                           const Sample& now);

Json proof_record(const ProofPlan& plan, const ProofEvidence& evidence, const Sample& now,
                  ProofVerdict verdict, const std::string& reason);

}  // namespace sluice::ctrl

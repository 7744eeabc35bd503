// Proof: whether the data plane serves what a change asked for, judged from samples of the
// workers' acknowledgements and counters. Pure: no engine, no clock, no I/O.
//
// A plan says what is to hold, evidence collects what was seen, evaluate() gives the verdict:
//   not-proved  a worker has not acknowledged; or a closed pool got a decision after
//               acknowledgement; or the published table is not what was asked; or another change
//               came in between
//   draining    all of that holds, but connections that were to end are still there
//   proved      all of that holds, and those connections are gone
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctrl/compile/registry.h"
#include "ctrl/control/bounded_json.h"
#include "dataplane/engine.h"

namespace sluice::ctrl {

/// What happens to connections that a pool still has when it loses its traffic.
enum class Existing : uint8_t { keep, drain, reset };
std::string_view to_string(Existing existing);
/// The inverse; anything else is keep.
Existing existing_of(std::string_view word);

enum class ProofVerdict : uint8_t { not_proved, draining, proved };
std::string_view to_string(ProofVerdict verdict);

/// Counters are read one after the other: never below 0.
inline uint64_t active_connections(uint64_t begun, uint64_t ended) {
  return begun > ended ? begun - ended : 0;
}

struct RefSample {
  uint64_t decisions = 0;
  uint64_t ended = 0;
  uint64_t last_decision_ns = 0;        // CLOCK_MONOTONIC; 0: none yet
  std::vector<uint64_t> last_revision;  // by worker: revision that made its last decision
  uint64_t active() const { return active_connections(decisions, ended); }
};

struct BackendSample {
  uint64_t connections = 0;
  uint64_t ended = 0;
  uint64_t active() const { return active_connections(connections, ended); }
};

/// The workers at one moment. Acknowledgements are read before counters, so that a counter is
/// never older than the acknowledgement beside it.
struct Sample {
  uint64_t at_ns = 0;  // CLOCK_MONOTONIC
  std::vector<dataplane::Acknowledgement> workers;
  std::map<uint16_t, RefSample> refs;
  std::map<uint16_t, BackendSample> backends;
};

struct ProofPool {
  RefKey key;
  std::string version;
  uint32_t weight = 0;
  uint32_t slots = 0;        // counted in the published table
  uint32_t slots_asked = 0;  // computed from the weights
  uint16_t ref = 0;
  /// No decision made by a snapshot of this revision or later may exist; 0: not closed.
  uint64_t closed_since = 0;
  bool must_drain = false;
};

struct ProofBackend {
  BackendKey key;
  uint16_t id = model::no_backend;
  bool must_drain = false;
};

struct ProofPlan {
  uint64_t generation = 0;
  uint64_t revision = 0;  // the first that serves `generation`
  std::string verb;
  std::string route;         // the route that the change was about; empty: several
  std::string asked_at;      // wall time
  std::string published_at;  // wall time
  uint64_t published_ns = 0;
  Existing existing = Existing::keep;
  std::vector<ProofPool> pools;
  std::vector<ProofBackend> backends;  // closed: drained one by one
};

struct WorkerEvidence {
  bool acknowledged = false;
  uint64_t at_ns = 0;  // when it took up the first snapshot that we saw it serve, >= plan.revision
  uint64_t generation = 0;
};

struct ProofEvidence {
  Sample at_publish;
  std::vector<WorkerEvidence> workers;
  std::optional<Sample> at_acknowledge;  // the first sample after the last acknowledgement
  std::map<size_t, std::string> pools_drained_at;  // index in plan.pools → wall time
  std::map<size_t, std::string> backends_drained_at;
  uint64_t superseded_by = 0;  // generation that ended the observation; 0: none
};

/// Takes `now` into the evidence. `wall_time` is what drained_at is to say.
void observe(const ProofPlan& plan, ProofEvidence& evidence, const Sample& now,
             const std::string& wall_time);

/// "3 connections of web-v1 were there before": what is said of connections that go on although
/// new ones do not come.
std::string there_before(uint64_t active, std::string_view of);

struct Proof {
  ProofVerdict verdict = ProofVerdict::not_proved;
  std::string reason;  // empty when proved
  Json json;           // the whole record, as the control socket gives it
};

Proof evaluate(const ProofPlan& plan, const ProofEvidence& evidence, const Sample& now);

}  // namespace sluice::ctrl

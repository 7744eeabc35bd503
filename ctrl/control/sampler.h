// Sampler: sums the workers' counters by identity. Identities are recycled, counters are never
// set back: the sampler remembers where each counter stood when its identity was given back, so
// that a new owner starts at 0. ctrl thread only.
#pragma once

#include <cstdint>
#include <set>
#include <unordered_map>

#include "ctrl/control/proof.h"
#include "dataplane/engine.h"

namespace sluice::ctrl {

/// Sums over all workers of what RefCounters holds, since the identity was given out.
struct RefTotals {
  uint64_t decisions = 0, ended = 0, refused = 0, resets = 0;
  uint64_t packets_in = 0, bytes_in = 0, packets_out = 0, bytes_out = 0;
  uint64_t last_decision_ns = 0;  // CLOCK_MONOTONIC; 0: none yet
  uint64_t active() const { return active_connections(decisions, ended); }
};

/// Handshakes of clients that a backend did not take, over all workers, since the identity was
/// given out.
struct BackendTrouble {
  uint64_t unanswered = 0, refused = 0;
};

class Sampler {
 public:
  explicit Sampler(const dataplane::Engine& engine) : engine_(engine) {}

  Sample sample(uint64_t now_ns, const std::set<uint16_t>& refs,
                const std::set<uint16_t>& backends) const;
  RefTotals ref(uint16_t ref) const;
  BackendSample backend(uint16_t id) const;
  BackendTrouble trouble(uint16_t id) const;

  /// The identity goes back: its next owner counts from here.
  void ref_released(uint16_t ref);
  void backend_released(uint16_t id);

  const dataplane::Engine& engine() const { return engine_; }

 private:
  RefTotals raw_ref(uint16_t ref) const;
  BackendSample raw_backend(uint16_t id) const;
  BackendTrouble raw_trouble(uint16_t id) const;

  const dataplane::Engine& engine_;
  std::unordered_map<uint16_t, RefTotals> ref_bases_;
  std::unordered_map<uint16_t, BackendSample> backend_bases_;
  std::unordered_map<uint16_t, BackendTrouble> trouble_bases_;
};

}  // namespace sluice::ctrl

// ProofKeeper: watches the workers after a change until its proof is settled, answers whoever
// waits for it, and keeps it in the state directory. A proof that is still draining when its
// waiter's time is up goes on being watched. ctrl thread only.
//
//   opened → (all acknowledged, observed for a moment)        → proved, settled
//          → (a closed pool got a decision, or a wrong table) → not-proved, settled
//          → (connections are left)                           → draining, watched on
//          → (a worker does not acknowledge)                  → not-proved, watched on
//          → (a later change takes its ground away)           → settled as it stands
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <set>

#include "ctrl/control/event_hub.h"
#include "ctrl/control/proof.h"
#include "ctrl/control/sampler.h"
#include "ctrl/control/state_store.h"
#include "ctrl/runtime/event_loop.h"

namespace sluice::ctrl {

inline constexpr uint64_t proof_observation_ns = 10'000'000;  // after the last acknowledgement
inline constexpr size_t proofs_open_max = 256;

using ProofDone = std::function<void(Proof proof)>;
using NowNs = std::function<uint64_t()>;  // CLOCK_MONOTONIC

class ProofKeeper {
 public:
  ProofKeeper(EventLoop& loop, StateStore& store, EventHub& events, const Sampler& sampler,
              NowNs now_ns);
  ~ProofKeeper();
  /// Called with the record of a change's proof whenever its verdict is kept.
  void set_saved(std::function<void(const Json& proof)> saved) { saved_ = std::move(saved); }

  /// Starts watching a change that was just published. `done` (may be empty) is called once, when
  /// the proof is settled or `wait_ms` have passed, never from inside this call.
  void open(ProofPlan plan, Sample at_publish, uint64_t wait_ms, ProofDone done);
  /// The same for a question about what is served: nothing is kept, and it ends with its answer.
  void ask(ProofPlan plan, Sample at_publish, uint64_t wait_ms, ProofDone done);

  /// Call right before publishing another generation: the last moment at which no worker can
  /// serve it. Proofs that rest on pools which `reopens` are settled.
  void before_publish(uint64_t generation, const std::function<bool(uint16_t ref)>& reopens);

  /// The sample that a plan needs.
  Sample sample(const ProofPlan& plan) const;

  /// A proof that is still watched, as it stands now.
  std::optional<Proof> current(uint64_t generation) const;
  /// Refs and backends of open proofs: their identities must not be given back.
  bool watches_ref(uint16_t ref) const;
  bool watches_backend(uint16_t id) const;
  /// Proofs of changes settled or given up by verdict, in the order of ProofVerdict.
  const std::array<uint64_t, 3>& verdicts() const { return verdicts_; }

 private:
  struct Entry {
    ProofPlan plan;
    ProofEvidence evidence;
    ProofDone done;
    uint64_t deadline_ns = 0;
    uint64_t acknowledged_ns = 0;  // when it was seen; 0: not yet
    bool keep = false;             // a change, not a question
    std::optional<ProofVerdict> saved;
    bool finished = false;
  };

  void add(Entry entry);
  void arm();
  void poll();
  void look_at(Entry& entry, uint64_t now_ns);
  void settle(Entry& entry, Proof proof);
  void answer(Entry& entry, const Proof& proof);
  void save(Entry& entry, const Proof& proof);
  void drop_finished();

  EventLoop& loop_;
  StateStore& store_;
  EventHub& events_;
  const Sampler& sampler_;
  NowNs now_ns_;
  std::function<void(const Json& proof)> saved_;
  std::list<Entry> entries_;  // in the order of their opening
  OperationId timer_ = 0;
  std::array<uint64_t, 3> verdicts_{};
};

}  // namespace sluice::ctrl

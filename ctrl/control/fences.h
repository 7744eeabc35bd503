// Fences: how connections of closed pools and drained backends end, at once or at a deadline.
// They take effect by what is published: a ref's flows decided before a revision are reset, a
// fenced backend is absent for its flows. ctrl thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "ctrl/control/closed_refs.h"
#include "ctrl/control/proof.h"
#include "ctrl/control/sampler.h"
#include "dataplane/model/snapshot.h"

namespace sluice::ctrl {

class Fences {
 public:
  /// Connections that `plan` wants gone end with revision `revision`.
  void end_now(const ProofPlan& plan, uint64_t revision);
  /// They end at `deadline_ns` (CLOCK_MONOTONIC), unless traffic comes back before.
  void end_at(const ProofPlan& plan, uint64_t deadline_ns);
  /// Forgets what is open again: nothing of it is to end.
  void keep_only(const ClosedRefs& closed, const std::set<uint16_t>& drained_backends);
  /// Turns passed deadlines into ends with `revision`; true when there were any.
  bool expire(uint64_t now_ns, uint64_t revision);
  std::optional<uint64_t> next_deadline_ns() const;
  /// When what is left of a ref's or a backend's connections ends; 0: that was published. None:
  /// they are kept.
  std::optional<uint64_t> ends_at_ns(uint16_t ref) const;
  std::optional<uint64_t> backend_ends_at_ns(uint16_t id) const;

  /// Whatever has no connection left needs no fence. Call when every worker serves the newest
  /// snapshot.
  void forget_empty(const Sampler& sampler);

  /// `snapshot` with the fences in it; itself when there are none.
  std::shared_ptr<const model::Snapshot> apply(
      std::shared_ptr<const model::Snapshot> snapshot) const;

 private:
  struct Deadline {
    uint64_t at_ns;
    std::set<uint16_t> refs;
    std::set<uint16_t> backends;
  };
  void forget_met_deadlines();

  std::map<uint16_t, uint64_t> reset_before_;  // ref → revision
  std::set<uint16_t> absent_backends_;
  std::vector<Deadline> deadlines_;
};

}  // namespace sluice::ctrl

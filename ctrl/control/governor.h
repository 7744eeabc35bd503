// Governor: asked by the controller before a change is made. Roles, freezes, policies, approvals
// and break-glass meet here; what it decides is recorded by the audit trail. Keeps what waits for
// approval, and the freezes that people set, in STATE_DIR/govern.json. ctrl thread only.
//
//   asked → refused                             role, freeze, policy (and no break-glass)
//         → waits → approved by another person → made, if it still does what was approved
//                 → rejected, expired, or invalid: it would do something else by now
//         → made
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "ctrl/control/audit_trail.h"
#include "ctrl/control/change_options.h"
#include "ctrl/control/event_hub.h"
#include "ctrl/govern/approvals.h"
#include "ctrl/govern/change_limits.h"

namespace sluice::ctrl {

/// A change as it would be made.
struct Proposal {
  const std::string& verb;
  const ChangeOptions& options;
  const Config& before;
  const Config& after;
  const std::vector<std::string>& diff;
  uint64_t generation = 0;  // that is served
};

/// It may be made, or (`waits` is not null) has to wait for a second person.
struct Admission {
  AuditDetails details;
  Json waits;
};

struct GovernCounts {
  uint64_t approved = 0, rejected = 0, expired = 0, invalidated = 0, break_glass = 0;
};

class Governor {
 public:
  Governor(std::filesystem::path file, AuditTrail& audit, EventHub& events);

  /// A dry run is judged too, but leaves nothing behind.
  std::expected<Admission, Refusal> judge(const Proposal& proposal, uint64_t unix_ms);
  AccessAnswer may(const Config& config, const Author& author, std::string_view verb,
                   const Touched& touched) const;
  std::string roles_of(const Config& config, const Author& author) const;

  /// The pending change that `author` may approve or reject now.
  std::expected<PendingChange, Refusal> for_decision(const Config& config, const std::string& id,
                                                     std::string_view verb, const Author& author,
                                                     uint64_t unix_ms);
  /// It was approved and is committed, or turned out to be invalid.
  void approved(const std::string& id);
  void invalidated(const PendingChange& change, const std::string& why);
  Status reject(const Config& config, const PendingChange& change, const Author& author,
                const std::string& reason);

  Status freeze(const Config& config, FreezeConfig freeze, const Author& author);
  Status unfreeze(const Config& config, const std::string& name, const Author& author,
                  const std::string& reason);

  /// Ends what has expired.
  void tick(uint64_t unix_ms);

  const Approvals& approvals() const { return approvals_; }
  const std::vector<FreezeConfig>& freezes() const { return freezes_; }  // set by people
  const GovernCounts& counts() const { return counts_; }

 private:
  struct Exceptions {
    std::vector<std::string> overrode;  // what break-glass set aside
  };
  std::expected<void, Refusal> check_limits(const Proposal& proposal, const Touched& touched,
                                            uint64_t unix_ms, Exceptions& exceptions) const;
  std::expected<Json, Refusal> wait_for_approval(const Proposal& proposal, const Touched& touched,
                                                 const AuditDetails& details, uint64_t unix_ms);
  void load();
  Status save() const;

  std::filesystem::path file_;
  AuditTrail& audit_;
  EventHub& events_;
  Approvals approvals_;
  std::vector<FreezeConfig> freezes_;
  GovernCounts counts_;
};

Person person_of(const Author& author);

}  // namespace sluice::ctrl

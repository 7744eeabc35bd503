// AuditTrail: what sluiced writes into the audit log, and when. A change is recorded before it is
// committed, and refused when that fails; what it became (its proof, or that it was not committed)
// follows as records of their own that refer to it. Blocking writes; ctrl thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ctrl/audit/audit_log.h"
#include "ctrl/control/generation.h"
#include "ctrl/control/refusal_limiter.h"

namespace sluice::ctrl {

/// What a record says beside the generation itself.
struct AuditDetails {
  std::string role;
  std::vector<std::string> routes;
  Json intent;
  std::string diff_hash;
  Json approval;             // null: none was needed
  bool break_glass = false;  // whatever it overrode is named in `overrode`
  std::vector<std::string> overrode;
};

struct AuditRefusal {
  Author author;
  std::string role;
  std::string verb;
  std::vector<std::string> routes;
  Json intent;
  std::string reason;   // of the one who asked
  std::string kind;     // why, in one word: role, approval, freeze, policy, held, conflict, invalid
  std::string message;  // why, in a sentence
};

class AuditTrail {
 public:
  static Result<AuditTrail> open(const std::filesystem::path& directory, AuditOptions options = {});

  /// The first records of this life: what the end of the log looked like, a change that was
  /// recorded but never committed, and what is served now.
  void begin(const std::vector<uint64_t>& committed, uint64_t generation);

  /// The record of a change that is about to be committed; its number.
  Result<uint64_t> change(const Generation& generation, const AuditDetails& details);
  /// It was not committed after all.
  void not_committed(uint64_t sequence, uint64_t generation, const std::string& why);
  void proof(const Json& proof);
  /// Repeated refusals of one user are counted, and written in one record a little later.
  void refusal(const AuditRefusal& refusal, uint64_t now_ns);
  /// Anything else that people do. Fails when it could not be written.
  Result<uint64_t> event(std::string_view event, const Author& author, const std::string& role,
                         Json fields);
  /// Writes what had to wait. Call now and then.
  void tick(uint64_t now_ns);

  const std::map<std::string, uint64_t>& records() const { return records_; }    // by event
  const std::map<std::string, uint64_t>& refusals() const { return refusals_; }  // by kind
  uint64_t failures() const { return failures_; }
  const AuditLog& log() const { return log_; }

 private:
  explicit AuditTrail(AuditLog log) : log_(std::move(log)) {}
  Result<uint64_t> append(Json fields);
  void append_or_keep(Json fields);
  void note_abandoned(const std::vector<uint64_t>& committed);

  AuditLog log_;
  RefusalLimiter limiter_;
  std::deque<Json> waiting_;                  // records that could not be written yet
  std::map<uint64_t, uint64_t> sequence_of_;  // generation → its record, of the last changes
  std::map<std::string, uint64_t> records_, refusals_;
  uint64_t failures_ = 0;
};

Json who_json(const Author& author, const std::string& role);

}  // namespace sluice::ctrl

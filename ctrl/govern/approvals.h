// Changes that wait for a second person. Each is bound to the hash of its diff, and expires. A
// value; whoever owns it keeps it on the disk (to_json).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ctrl/govern/access.h"

namespace sluice::ctrl {

inline constexpr size_t pending_max = 32;
inline constexpr size_t approval_id_bytes = 8;  // the first digits of the diff's hash

struct PendingChange {
  std::string id;
  std::string hash;    // diff_hash()
  std::string method;  // how it was asked for, to be asked again when it is approved
  nlohmann::json params;
  Person author;
  std::string reason;
  std::vector<std::string> diff;
  std::set<std::string> routes;  // all that it touches
  bool node_wide = false;
  uint64_t generation = 0;  // that was served when it was asked
  uint64_t asked_unix_ms = 0;
  uint64_t expires_unix_ms = 0;
};

class Approvals {
 public:
  /// Fails when too many wait already. One with the same id is replaced.
  Status add(PendingChange change);
  const PendingChange* find(const std::string& id) const;
  void remove(const std::string& id);
  /// Takes those out whose time is over.
  std::vector<PendingChange> take_expired(uint64_t unix_ms);
  const std::vector<PendingChange>& all() const { return changes_; }

 private:
  std::vector<PendingChange> changes_;  // oldest first
};

/// Without the parameters of the call, which may be a whole file: what people are shown.
nlohmann::json shown_json(const PendingChange& change);
nlohmann::json to_json(const PendingChange& change);
/// Throws nlohmann's exceptions on anything that to_json() did not write.
PendingChange pending_from_json(const nlohmann::json& json);

}  // namespace sluice::ctrl

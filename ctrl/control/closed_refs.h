// ClosedRefs: since which revision a (route, rule, pool) may get no new connection, without a
// break. A decision for it that was made by that revision or a later one disproves the table.
// ctrl thread only.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "ctrl/compile/registry.h"
#include "ctrl/config/config.h"

namespace sluice::ctrl {

class ClosedRefs {
 public:
  /// `config` is served from `revision` on. Identities of `registry` that `config` does not name
  /// are closed too.
  void update(const Config& config, const Registry& registry, uint64_t revision);
  /// 0: it is open, or unknown.
  uint64_t since(uint16_t ref) const;
  void forget(uint16_t ref) { since_.erase(ref); }

 private:
  std::unordered_map<uint16_t, uint64_t> since_;
};

}  // namespace sluice::ctrl

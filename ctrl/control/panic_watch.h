// PanicWatch: notices when a pool's panic policy takes over and lets go, so that it is told and
// never silent. ctrl thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ctrl/compile/compile.h"
#include "ctrl/config/config.h"

namespace sluice::ctrl {

struct PanicChange {
  std::string pool;
  Family family = Family::v4;
  PanicPolicy policy = PanicPolicy::none;
  bool active = false;
  uint32_t usable = 0, candidates = 0;  // of the tier that serves
};

class PanicWatch {
 public:
  /// What changed since the last call. Looks only at pools that have a policy.
  std::vector<PanicChange> update(const Config& config, const Observed& observed);

 private:
  std::map<std::pair<std::string, Family>, PanicChange> active_;
};

}  // namespace sluice::ctrl

// Which routes a change is about: its own lines, and those of the pools and listeners that it
// uses. What roles, approvals, freezes and the audit log go by. Pure; any thread.
#pragma once

#include <set>
#include <string>

#include "ctrl/config/config.h"

namespace sluice::ctrl {

struct Touched {
  std::set<std::string> routes;
  std::set<std::string> unused;  // pools and listeners that no route uses, before or after
  bool node_wide = false;        // anything that belongs to no route: timeouts, roles, policies
  bool nothing() const { return routes.empty() && unused.empty() && !node_wide; }
};

Touched touched_by(const Config& before, const Config& after);

}  // namespace sluice::ctrl

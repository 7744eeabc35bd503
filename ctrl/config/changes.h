// What differs between two configurations, in words for people: the text of `sluice diff`, of a
// dry run, of the history and of the audit record. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "ctrl/config/config.h"

namespace sluice::ctrl {

/// One line per change, in the order of the file: node, ports, control, admin, timeouts, pools,
/// listeners, routes. Empty when nothing differs. Another order is told where it decides: of ports,
/// routes and the pools of a rule.
/// "route orders rule 0: pool orders-v2 weight 5 -> 10", "pool x: backend 10.0.1.12:8080 added".
std::vector<std::string> describe_changes(const Config& before, const Config& after);

/// The sections ("node", "port", "control", "admin") that differ and are read only at start.
std::vector<std::string> restart_required(const Config& before, const Config& after);

}  // namespace sluice::ctrl

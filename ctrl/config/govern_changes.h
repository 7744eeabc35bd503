// What differs in roles, freezes, policies and labels, in words. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "ctrl/config/govern_config.h"

namespace sluice::ctrl {

void describe_govern_changes(const GovernConfig& before, const GovernConfig& after,
                             std::vector<std::string>& lines);
/// "[a = x, b = y]".
std::string labels_text(const LabelMap& labels);

}  // namespace sluice::ctrl

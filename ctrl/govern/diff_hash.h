// The name of a change: what was asked, and what it does to what is served. Pure; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::ctrl {

/// Parameters as the audit log keeps them: without those that only say how to wait or why, and
/// with the SHA-256 of a file instead of its text.
nlohmann::json intent_of(const nlohmann::json& params);

/// SHA-256 over the verb, the intent and the lines of the diff, each line ended by a newline. The
/// same request against other weights has another hash when it would do something else.
std::string diff_hash(std::string_view verb, const nlohmann::json& intent,
                      const std::vector<std::string>& diff);

}  // namespace sluice::ctrl

// Answers about rights, approvals and freezes as text for a person. Pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace sluice::cli {

std::string can_view(const nlohmann::json& answer);
std::string pending_view(const nlohmann::json& answer);
/// What to do about a change that has to wait: for the one who asked.
std::string waits_view(const nlohmann::json& pending);
std::string rejected_view(const nlohmann::json& answer);
std::string freeze_view(const nlohmann::json& answer);
std::string lifted_view(const nlohmann::json& answer);
std::string freezes_view(const nlohmann::json& answer);
/// Fields that somebody holds, and what the file says about them; "" when there is none.
std::string held_view(const nlohmann::json& held);

}  // namespace sluice::cli

// The audit log as text for a person. Pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ctrl/audit/chain_check.h"

namespace sluice::cli {

std::string audit_records_view(const std::vector<nlohmann::json>& records);
std::string audit_check_view(const ctrl::AuditCheck& check);
nlohmann::json audit_check_json(const ctrl::AuditCheck& check);

}  // namespace sluice::cli

// Where `sluice audit` reads the log: from a running sluiced, or from its files.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ctrl/audit/chain_check.h"
#include "ctrl/audit/query.h"
#include "ctrl/cli/client.h"

namespace sluice::cli {

class AuditSource {
 public:
  virtual ~AuditSource() = default;
  virtual Result<ctrl::AuditCheck> check(bool archived) = 0;
  virtual Result<ctrl::AuditAnswer> query(const ctrl::AuditQuery& query) = 0;
  /// Every line, oldest first.
  virtual Status lines(const std::function<void(const std::string& line)>& visit) = 0;
};

/// DIR is a state directory: the log is in DIR/audit. Needs no sluiced.
std::unique_ptr<AuditSource> audit_of_directory(const std::filesystem::path& state_dir);
Result<std::unique_ptr<AuditSource>> audit_of_sluiced(const std::string& socket);

}  // namespace sluice::cli

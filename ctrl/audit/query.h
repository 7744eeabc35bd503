// Questions about the audit log: the newest records that fit a filter, a bounded part of the log
// at a time. Blocking reads; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ctrl/audit/record.h"

namespace sluice::ctrl {

struct AuditQuery {
  std::string route = {};       // records about this route; empty: all
  std::string author = {};      // user name or uid; empty: all
  std::string event = {};       // change, refusal, proof, ...; empty: all
  std::string since = {};       // RFC 3339 in UTC as records have it; empty: from the beginning
  uint64_t before = 0;          // only records with a smaller number; 0: from the newest on
  size_t limit = 20;            // records
  size_t bytes_max = 4u << 20;  // looked at
};

struct AuditAnswer {
  std::vector<AuditJson> records;  // newest first; lines that are no record are left out
  uint64_t next = 0;               // ask again with this `before`; 0: there is nothing older
};

bool matches(const AuditQuery& query, const AuditJson& record);

Result<AuditAnswer> query_audit_log(const std::filesystem::path& directory,
                                    const AuditQuery& query);

}  // namespace sluice::ctrl

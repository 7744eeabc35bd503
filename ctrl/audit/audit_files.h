// Where the audit log lies: DIR/head and DIR/0000000000000001.jsonl, each file named by its first
// record. Reading only; works while sluiced writes, and without it. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ctrl/audit/record.h"

namespace sluice::ctrl {

struct AuditFile {
  std::filesystem::path path;
  uint64_t first_sequence = 0;  // by its name
};

std::string audit_file_name(uint64_t first_sequence);

/// Oldest first. An empty list for a directory that has none; fails when it cannot be read.
Result<std::vector<AuditFile>> audit_files(const std::filesystem::path& directory);

/// Fails when the head is missing or is none.
Result<AuditHead> read_audit_head(const std::filesystem::path& directory);

/// A part of the log as `audit.read` hands it out.
struct AuditPage {
  std::vector<std::string> lines;  // without newlines
  bool ends_with_newline = true;   // false: the last line is torn, or is being written
  uint64_t next_offset = 0;
  bool at_end = false;  // of the file
};

/// Lines of one file from byte `offset` on, about `bytes_max` of them (at least one line).
Result<AuditPage> read_audit_page(const std::filesystem::path& path, uint64_t offset,
                                  size_t bytes_max);

/// The lines of a file from its end to its beginning, until `visit` returns false. A torn last
/// line is passed too.
Status visit_lines_backwards(const std::filesystem::path& path,
                             const std::function<bool(std::string_view line)>& visit);

}  // namespace sluice::ctrl

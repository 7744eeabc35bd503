// ChainCheck: is the audit log what was written? Fed line by line, oldest first; finds a byte
// edited, a line removed, put in another place, repeated or made up, and a log that lost its
// beginning or its end. A value; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctrl/audit/record.h"

namespace sluice::ctrl {

struct AuditFinding {
  std::string file;
  uint64_t line = 0;  // from 1; 0: the file as a whole
  std::string what;
};

struct AuditCheck {
  uint64_t records = 0;
  uint64_t first_sequence = 0, last_sequence = 0;
  std::string last_hash;
  std::vector<AuditFinding> findings;  // what is wrong, in the order of the log
  std::vector<AuditFinding> notes;     // what is to be known but is not wrong
  bool whole() const { return findings.empty(); }
};

class ChainCheck {
 public:
  /// `archived`: files before the first one may lie elsewhere.
  explicit ChainCheck(bool archived) : archived_(archived) {}

  void begin_file(std::string name);
  /// `finished`: the line ends with a newline.
  void line(std::string_view text, bool finished = true);
  /// `head`: the head, read before the lines were; none for an exported file.
  AuditCheck finish(const std::optional<AuditHead>& head);

 private:
  struct BadLine {
    AuditFinding finding;
    std::string sha256;
    std::optional<std::string> previous;  // what the line should have named
    bool finished = true;
  };
  struct Gap {
    AuditFinding place;
    uint64_t from = 0, to = 0;
  };

  void find(std::string what);
  void good_line(AuditRecord record);
  void out_of_place(const AuditRecord& record);
  void settle_bad_line(const AuditRecord* next);
  void check_start(const AuditRecord& record);
  void check_end(const AuditHead& head);

  bool archived_;
  AuditCheck check_;
  std::string file_;
  uint64_t line_ = 0;
  std::optional<uint64_t> expected_;     // the next sequence number
  std::optional<std::string> previous_;  // what it must name; none after a bad line
  std::optional<BadLine> bad_;
  std::vector<Gap> gaps_;
  std::map<uint64_t, std::string> skipped_;  // numbers of gaps that turned up later → where
};

/// The whole log of DIR, without sluiced. Fails when it cannot be read.
Result<AuditCheck> check_audit_log(const std::filesystem::path& directory, bool archived);
/// Files as `audit export` wrote them, one after the other; what came before is elsewhere.
Result<AuditCheck> check_audit_files(const std::vector<std::filesystem::path>& files);

}  // namespace sluice::ctrl

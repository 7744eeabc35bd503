// AuditLog: the writer. A record is on the disk, and the head names it, when append() returns; when
// it fails, the log is as before and the caller must refuse what it wanted to record. One writer
// per directory (the lock of the state directory sees to that). Blocking; ctrl thread only.
//
//   kill -9 or a power cut may leave            the next open() continues with
//     an unfinished last line                     a newline, and "recovered" that names its hash
//     a whole line that the head lacks            that line: it follows from the head
//     (lines that the head knows are missing)     "recovered" after the head; verify finds the gap
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "ctrl/audit/record.h"
#include "ctrl/control/unique_fd.h"

namespace sluice::ctrl {

struct AuditOptions {
  uint64_t file_bytes_max = 64u << 20;  // a file that is larger is followed by a new one
};

class AuditLog {
 public:
  /// Creates the directory where needed. Fails only when it cannot be read or created.
  static Result<AuditLog> open(const std::filesystem::path& directory, AuditOptions options = {});

  /// Puts seq, previous and hash into `fields` and makes the record durable; its number.
  Result<uint64_t> append(AuditJson fields);

  /// The fields of the "recovered" record that the state found by open() asks for, or null. The
  /// caller adds the time and appends it before anything else.
  const AuditJson& recovered() const { return recovered_; }
  /// The last record found by open(), null for a new log.
  const AuditJson& last_found() const { return last_found_; }

  const AuditHead& head() const { return head_; }
  const std::filesystem::path& directory() const { return directory_; }

 private:
  AuditLog(std::filesystem::path directory, AuditOptions options)
      : directory_(std::move(directory)), options_(options) {}
  Status look_at_end();
  Status open_file(uint64_t first_sequence);
  Status rotate_when_full();
  Status write_record(const AuditLine& line);
  Status write_head(const AuditHead& head);
  Status take_back();

  std::filesystem::path directory_;
  AuditOptions options_;
  AuditHead head_;
  AuditJson recovered_, last_found_;
  std::filesystem::path path_;
  UniqueFd file_, head_file_;
  uint64_t bytes_ = 0;   // of the file, whole records only
  bool torn_ = false;    // the file does not end with a newline
  bool unsure_ = false;  // a failed write may have left bytes behind
};

}  // namespace sluice::ctrl

// The lines of the audit log. A record is one JSON object with "seq" (from 1, without gaps),
// "previous" (the hash of the record before) and, as its last member, "hash": the SHA-256 of the
// line's bytes up to the comma before it. So a line proves itself, and its place. Pure; any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "dataplane/base/result.h"

namespace sluice::ctrl {

using AuditJson = nlohmann::json;

/// What the first record of all names as the one before it.
inline constexpr std::string_view audit_genesis =
    "0000000000000000000000000000000000000000000000000000000000000000";

inline constexpr size_t audit_line_bytes_max = 4u << 20;

struct AuditLine {
  std::string text;  // without newline
  std::string hash;
};

/// `fields` is an object; seq and previous are put into it. Bytes that are no UTF-8 are replaced.
AuditLine encode_audit_line(AuditJson fields, uint64_t sequence, std::string_view previous);

struct AuditRecord {
  uint64_t sequence = 0;
  std::string previous;
  std::string hash;
  AuditJson fields;  // all of them
};

/// Fails, with what is wrong, on anything that encode_audit_line did not write.
Result<AuditRecord> decode_audit_line(std::string_view text);

/// A member that is a string; "" when there is none.
std::string text_member(const AuditJson& object, const char* key);

/// The newest record that is known to be on the disk, kept apart from the log (DIR/head) so that a
/// log that lost its end is found out.
struct AuditHead {
  uint64_t sequence = 0;
  std::string hash{audit_genesis};
  bool operator==(const AuditHead&) const = default;
};

std::string encode_audit_head(const AuditHead& head);
Result<AuditHead> decode_audit_head(std::string_view text);

}  // namespace sluice::ctrl

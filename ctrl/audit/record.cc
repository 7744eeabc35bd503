#include "ctrl/audit/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "ctrl/audit/sha256.h"

namespace sluice::ctrl {
namespace {

constexpr std::string_view hash_key = R"(,"hash":")";
constexpr std::string_view line_end = R"("})";
constexpr size_t seal_bytes = hash_key.size() + sha256_hex_bytes + line_end.size();
constexpr size_t head_digits = 16;

bool is_hash(std::string_view text) {
  return text.size() == sha256_hex_bytes && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

AuditLine encode_audit_line(AuditJson fields, uint64_t sequence, std::string_view previous) {
  fields["seq"] = sequence;
  fields["previous"] = previous;
  fields.erase("hash");
  AuditLine line;
  line.text = fields.dump(-1, ' ', false, AuditJson::error_handler_t::replace);
  line.text.pop_back();  // the closing brace
  line.hash = sha256_hex(line.text);
  line.text += hash_key;
  line.text += line.hash;
  line.text += line_end;
  return line;
}

Result<AuditRecord> decode_audit_line(std::string_view text) {
  const std::string_view seal =
      text.size() > seal_bytes ? text.substr(text.size() - seal_bytes) : std::string_view{};
  if (!seal.starts_with(hash_key) || !seal.ends_with(line_end)) {
    return fail("it is no whole record: its hash is missing at the end");
  }
  AuditRecord record;
  record.hash = seal.substr(hash_key.size(), sha256_hex_bytes);
  if (sha256_hex(text.substr(0, text.size() - seal_bytes)) != record.hash) {
    return fail("it was edited: its hash does not match its content");
  }
  record.fields = AuditJson::parse(text, nullptr, false);
  const bool whole = record.fields.is_object() && record.fields.contains("seq") &&
                     record.fields["seq"].is_number_unsigned() &&
                     record.fields.contains("previous") && record.fields["previous"].is_string();
  if (!whole) return fail("it is no record: seq or previous is missing");
  record.sequence = record.fields["seq"].get<uint64_t>();
  record.previous = record.fields["previous"].get<std::string>();
  return record;
}

std::string text_member(const AuditJson& object, const char* key) {
  const auto at = object.is_object() ? object.find(key) : object.end();
  return at == object.end() || !at->is_string() ? std::string() : at->get<std::string>();
}

std::string encode_audit_head(const AuditHead& head) {
  return fmt::format("{:0{}} {}\n", head.sequence, head_digits, head.hash);
}

Result<AuditHead> decode_audit_head(std::string_view text) {
  AuditHead head;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), head.sequence);
  const bool numbered = error == std::errc{} && end == text.data() + head_digits;
  if (!numbered || text.size() != head_digits + 1 + sha256_hex_bytes + 1 || text.back() != '\n' ||
      !is_hash(text.substr(head_digits + 1, sha256_hex_bytes))) {
    return fail("it does not hold a sequence number and a hash");
  }
  head.hash = text.substr(head_digits + 1, sha256_hex_bytes);
  return head;
}

}  // namespace sluice::ctrl

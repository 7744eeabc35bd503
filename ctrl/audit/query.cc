#include "ctrl/audit/query.h"

#include <algorithm>
#include <ranges>

#include "ctrl/audit/audit_files.h"

namespace sluice::ctrl {
namespace {

bool is_about(const AuditJson& record, const std::string& route) {
  const auto routes = record.find("routes");
  return routes != record.end() && routes->is_array() &&
         std::ranges::any_of(*routes, [&](const AuditJson& each) {
           return each.is_string() && each.get_ref<const std::string&>() == route;
         });
}

bool is_by(const AuditJson& record, const std::string& author) {
  const auto who = record.find("who");
  if (who == record.end() || !who->is_object()) return false;
  if (text_member(*who, "user") == author) return true;
  const auto uid = who->find("uid");
  return uid != who->end() && uid->dump() == author;
}

}  // namespace

bool matches(const AuditQuery& query, const AuditJson& record) {
  return (query.route.empty() || is_about(record, query.route)) &&
         (query.author.empty() || is_by(record, query.author)) &&
         (query.event.empty() || text_member(record, "event") == query.event) &&
         (query.since.empty() || text_member(record, "time") >= query.since);
}

Result<AuditAnswer> query_audit_log(const std::filesystem::path& directory,
                                    const AuditQuery& query) {
  const auto files = audit_files(directory);
  if (!files) return std::unexpected(files.error());
  AuditAnswer answer;
  size_t looked_at = 0;
  bool done = false;
  for (const AuditFile& file : std::views::reverse(*files)) {
    if (done) break;
    if (query.before != 0 && file.first_sequence >= query.before) continue;
    auto visited = visit_lines_backwards(file.path, [&](std::string_view line) {
      const auto record = decode_audit_line(line);
      if (!record) return true;
      if (query.before != 0 && record->sequence >= query.before) return true;
      looked_at += line.size() + 1;
      if (matches(query, record->fields)) answer.records.push_back(record->fields);
      if (answer.records.size() < query.limit && looked_at < query.bytes_max) return true;
      answer.next = record->sequence > 1 ? record->sequence : 0;
      done = true;
      return false;
    });
    if (!visited) return std::unexpected(visited.error());
  }
  return answer;
}

}  // namespace sluice::ctrl

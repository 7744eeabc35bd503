#include "ctrl/cli/audit_view.h"

#include <fmt/format.h>

#include "ctrl/cli/table.h"
#include "ctrl/cli/views.h"

namespace sluice::cli {
namespace {

using ctrl::text_member;

std::string number(const json& record, const char* key) {
  const auto at = record.find(key);
  return at == record.end() || !at->is_number() ? "-" : at->dump();
}

/// What happened, in a line: the first change, why it was refused, or the verdict.
std::string gist(const json& record) {
  const std::string event = text_member(record, "event");
  std::string text = text_member(record, "message");
  if (event == "proof") {
    const std::string verdict = text_member(record, "verdict");
    text = verdict + (text.empty() ? "" : ": " + text);
  }
  const auto diff = record.find("diff");
  if (diff != record.end() && diff->is_array() && !diff->empty() && diff->front().is_string()) {
    text = diff->front().get<std::string>();
    if (diff->size() > 1) text += fmt::format(" (+{} more)", diff->size() - 1);
  }
  if (record.contains("break_glass")) text = "BREAK-GLASS " + text;
  return text.empty() ? "-" : text;
}

std::string routes(const json& record) {
  std::string names;
  const auto at = record.find("routes");
  if (at == record.end() || !at->is_array()) return "-";
  for (const json& route : *at) {
    if (route.is_string()) names += (names.empty() ? "" : ", ") + route.get<std::string>();
  }
  return names.empty() ? "-" : names;
}

json findings_json(const std::vector<ctrl::AuditFinding>& findings) {
  json list = json::array();
  for (const auto& finding : findings) {
    list.push_back({{"file", finding.file}, {"line", finding.line}, {"message", finding.what}});
  }
  return list;
}

std::string place(const ctrl::AuditFinding& finding) {
  return finding.line == 0 ? finding.file : fmt::format("{}:{}", finding.file, finding.line);
}

}  // namespace

std::string audit_records_view(const std::vector<json>& records) {
  Table table(
      {">SEQ", "TIME", "USER", "ROLE", "EVENT", "VERB", "ROUTES", ">GENERATION", "WHAT", "REASON"});
  const auto text = [](const json& object, const char* key) {
    std::string value = text_member(object, key);
    return value.empty() ? "-" : value;
  };
  for (const json& record : records) {
    const json who = record.value("who", json::object());
    table.add({number(record, "seq"), text(record, "time"), text(who, "user"), text(who, "role"),
               text(record, "event"), text(record, "verb"), routes(record),
               number(record, "generation"), gist(record), text(record, "reason")});
  }
  return table.empty() ? "no records\n" : table.render();
}

std::string audit_check_view(const ctrl::AuditCheck& check) {
  std::string out;
  for (const auto& note : check.notes) out += fmt::format("{}: note: {}\n", place(note), note.what);
  for (const auto& finding : check.findings) {
    out += fmt::format("{}: {}\n", place(finding), tinted(Tint::bad, finding.what));
  }
  if (!check.whole()) {
    const size_t count = check.findings.size();
    return out +
           fmt::format("the audit log is not whole: {} finding{}\n", count, count == 1 ? "" : "s");
  }
  if (check.records == 0) return out + "the audit log has no records\n";
  return out + fmt::format("{}: {} records ({}..{}), last hash {}\n",
                           tinted(Tint::good, "the audit log is whole"), grouped(check.records),
                           check.first_sequence, check.last_sequence, check.last_hash);
}

json audit_check_json(const ctrl::AuditCheck& check) {
  return {{"whole", check.whole()},
          {"records", check.records},
          {"first", check.first_sequence},
          {"last", check.last_sequence},
          {"last_hash", check.last_hash},
          {"findings", findings_json(check.findings)},
          {"notes", findings_json(check.notes)}};
}

}  // namespace sluice::cli

#include "ctrl/control/audit_trail.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "ctrl/audit/query.h"
#include "ctrl/control/peer.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {
namespace {

constexpr size_t diff_lines_max = 1000;  // the hash covers all of them
constexpr size_t message_bytes_max = 4096;
constexpr size_t waiting_max = 64;
constexpr size_t remembered_max = 1024;
constexpr size_t looked_back_max = 1000;  // records, for a change that was not committed

Author myself() {
  return {.user = user_name(::getuid()), .uid = ::getuid(), .pid = ::getpid(), .gid = ::getgid()};
}

Json first_lines(const std::vector<std::string>& lines) {
  Json first = Json::array();
  for (const std::string& line : lines) {
    if (first.size() == diff_lines_max) break;
    first.push_back(line);
  }
  return first;
}

}  // namespace

Json who_json(const Author& author, const std::string& role) {
  return {{"user", author.user},
          {"uid", author.uid},
          {"gid", author.gid},
          {"pid", author.pid},
          {"role", role.empty() ? Json(nullptr) : Json(role)}};
}

Result<AuditTrail> AuditTrail::open(const std::filesystem::path& directory, AuditOptions options) {
  auto log = AuditLog::open(directory, options);
  if (!log) return std::unexpected(log.error());
  return AuditTrail(std::move(*log));
}

Result<uint64_t> AuditTrail::append(Json fields) {
  // In order: what had to wait comes before what follows from it.
  while (!waiting_.empty()) {
    if (auto written = log_.append(waiting_.front()); !written) {
      failures_++;
      return written;
    }
    records_[text_member(waiting_.front(), "event")]++;
    waiting_.pop_front();
  }
  if (!fields.contains("time")) fields["time"] = wall_time_now();
  const std::string event = text_member(fields, "event");
  auto written = log_.append(std::move(fields));
  if (written) {
    records_[event]++;
  } else {
    failures_++;
  }
  return written;
}

void AuditTrail::append_or_keep(Json fields) {
  fields["time"] = wall_time_now();
  const auto written = append(fields);
  if (written) return;
  log_error("audit", "a record could not be written and waits",
            {{"event", text_member(fields, "event")}, {"error", written.error().message}});
  if (waiting_.size() < waiting_max) waiting_.push_back(std::move(fields));
}

void AuditTrail::begin(const std::vector<uint64_t>& committed, uint64_t generation) {
  if (log_.recovered().is_object()) {
    Json recovered = log_.recovered();
    log_warn("audit", "the end of the audit log is not as it was left",
             {{"found", to_line(recovered)}});
    recovered["who"] = who_json(myself(), "sluiced");
    append_or_keep(std::move(recovered));
  }
  note_abandoned(committed);
  append_or_keep({{"event", "start"},
                  {"who", who_json(myself(), "sluiced")},
                  {"generation", generation == 0 ? Json(nullptr) : Json(generation)}});
}

/// The newest change of the log whose generation is not there: sluiced ended between the two.
void AuditTrail::note_abandoned(const std::vector<uint64_t>& committed) {
  const auto found = query_audit_log(log_.directory(), {.limit = looked_back_max});
  if (!found) return log_error("audit", "the audit log", {{"error", found.error().message}});
  std::set<uint64_t> settled;
  for (const Json& record : found->records) {
    const std::string event = text_member(record, "event");
    if (event == "not-committed") settled.insert(record.value("refers", 0ull));
    if (event != "change") continue;
    const uint64_t generation = record.value("generation", 0ull);
    const uint64_t sequence = record.value("seq", 0ull);
    sequence_of_.try_emplace(generation, sequence);
    const bool known = std::ranges::binary_search(committed, generation);
    if (known || settled.contains(sequence)) return;
    not_committed(sequence, generation, "sluiced ended before it was committed");
    return;
  }
}

Result<uint64_t> AuditTrail::change(const Generation& generation, const AuditDetails& details) {
  Json record = {{"event", "change"},
                 {"time", generation.time},
                 {"who", who_json(generation.author, details.role)},
                 {"verb", generation.verb},
                 {"routes", details.routes},
                 {"intent", details.intent},
                 {"diff", first_lines(generation.changes)},
                 {"diff_lines", generation.changes.size()},
                 {"diff_hash", details.diff_hash},
                 {"reason", generation.reason},
                 {"approval", details.approval},
                 {"generation", generation.number}};
  if (details.break_glass) record["break_glass"] = {{"overrode", details.overrode}};
  auto sequence = append(std::move(record));
  if (!sequence) {
    return fail(
        fmt::format("the audit record could not be written ({}); the change is refused and "
                    "traffic is as before",
                    sequence.error().message));
  }
  sequence_of_[generation.number] = *sequence;
  if (sequence_of_.size() > remembered_max) sequence_of_.erase(sequence_of_.begin());
  return sequence;
}

void AuditTrail::not_committed(uint64_t sequence, uint64_t generation, const std::string& why) {
  sequence_of_.erase(generation);
  append_or_keep({{"event", "not-committed"},
                  {"who", who_json(myself(), "sluiced")},
                  {"refers", sequence},
                  {"generation", generation},
                  {"message", why}});
}

void AuditTrail::proof(const Json& proof) {
  const uint64_t generation = proof.value("generation", 0ull);
  const auto sequence = sequence_of_.find(generation);
  Json routes = Json::array();
  for (const Json& pool : proof.value("pools", Json::array())) {
    const Json route = pool.value("route", Json(nullptr));
    if (std::ranges::find(routes, route) == routes.end()) routes.push_back(route);
  }
  append_or_keep(
      {{"event", "proof"},
       {"who", who_json(myself(), "sluiced")},
       {"refers", sequence == sequence_of_.end() ? Json(nullptr) : Json(sequence->second)},
       {"generation", generation},
       {"routes", std::move(routes)},
       {"verdict", proof.value("verdict", "")},
       {"message", proof.value("reason", "")},
       {"acknowledged_us", proof.value("acknowledged_us", Json(nullptr))}});
}

void AuditTrail::refusal(const AuditRefusal& refusal, uint64_t now_ns) {
  refusals_[refusal.kind]++;
  if (!limiter_.admit(refusal.author.uid, now_ns)) return;
  Json record = {{"event", "refusal"},
                 {"time", wall_time_now()},
                 {"who", who_json(refusal.author, refusal.role)},
                 {"verb", refusal.verb},
                 {"routes", refusal.routes},
                 {"intent", refusal.intent},
                 {"reason", refusal.reason},
                 {"kind", refusal.kind},
                 {"message", refusal.message.substr(0, message_bytes_max)}};
  if (const uint64_t more = limiter_.take_suppressed(refusal.author.uid); more > 0) {
    record["not_recorded_before"] = more;
  }
  if (const auto written = append(std::move(record)); !written) {
    log_error("audit", "a refusal could not be recorded",
              {{"user", refusal.author.user}, {"error", written.error().message}});
  }
}

Result<uint64_t> AuditTrail::event(std::string_view event, const Author& author,
                                   const std::string& role, Json fields) {
  fields["event"] = event;
  fields["who"] = who_json(author, role);
  auto written = append(std::move(fields));
  if (written) return written;
  return fail(fmt::format("the audit record could not be written ({}); nothing was changed",
                          written.error().message));
}

void AuditTrail::tick(uint64_t now_ns) {
  for (const uint32_t uid : limiter_.due(now_ns)) {
    const Author author{.user = user_name(uid), .uid = uid, .pid = 0};
    append_or_keep({{"event", "refusal"},
                    {"who", who_json(author, "")},
                    {"kind", "repeated"},
                    {"message", "refused again and again"},
                    {"not_recorded_before", limiter_.take_suppressed(uid)}});
  }
}

}  // namespace sluice::ctrl

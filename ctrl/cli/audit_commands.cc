// audit verify, show, export: who changed what, when and why, and whether the record is whole.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <fstream>

#include "ctrl/cli/audit_source.h"
#include "ctrl/cli/audit_view.h"
#include "ctrl/cli/command.h"

namespace sluice::cli {
namespace {

int failed(const Global& global, const std::string& message) {
  return print_refusal(global, {exit_refused, message, {}});
}

Result<std::unique_ptr<AuditSource>> source_of(const Global& global, const std::string& state_dir) {
  if (!state_dir.empty()) return audit_of_directory(state_dir);
  return audit_of_sluiced(global.socket);
}

void add_state_dir(CLI::App& command, std::string& state_dir) {
  command.add_option("--state-dir", state_dir,
                     "Read the files of this state directory; needs no sluiced");
}

struct VerifyOptions {
  std::string state_dir;
  std::vector<std::string> files;
  bool archived = false;
};

int verify(const Global& global, const VerifyOptions& options) {
  Result<ctrl::AuditCheck> check = ctrl::AuditCheck{};
  if (!options.files.empty()) {
    check = ctrl::check_audit_files({options.files.begin(), options.files.end()});
  } else {
    auto source = source_of(global, options.state_dir);
    if (!source) return failed(global, source.error().message);
    check = (*source)->check(options.archived);
  }
  if (!check) return failed(global, check.error().message);
  fmt::print("{}",
             global.as_json ? audit_check_json(*check).dump(2) + "\n" : audit_check_view(*check));
  return check->whole() ? exit_done : exit_refused;
}

void add_verify(CLI::App& audit, const Global& global, Action& action) {
  auto options = std::make_shared<VerifyOptions>();
  auto* command = audit.add_subcommand(
      "verify", "Find any byte edited, line removed, reordered, made up or cut off");
  add_state_dir(*command, options->state_dir);
  command->add_option("files", options->files, "Exported files instead, oldest first");
  command->add_flag("--archived", options->archived,
                    "The oldest files may lie elsewhere: begin with what is here");
  command->footer("Exit code 0: the log is whole. 1: it is not; file and line are named.");
  command->callback([&global, &action, options] {
    action = [&global, options] { return verify(global, *options); };
  });
}

struct ShowOptions {
  std::string state_dir, since;
  ctrl::AuditQuery query;
};

/// A time before which nothing is shown: a duration ago, or the beginning of an RFC 3339 time.
std::string since_problem(std::string& text) {
  const bool date = text.size() >= 10 && text[4] == '-' && text[7] == '-';
  if (date || duration_problem(text).empty()) return {};
  return "must be a duration such as 2h, or a time such as 2026-11-23T07:00:00Z";
}

std::string since_time(const std::string& text) {
  if (text.empty() || text[0] < '0' || text.find('-') != std::string::npos) return text;
  const auto then = std::chrono::system_clock::now() - duration_of(text);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(then)));
}

int show(const Global& global, ShowOptions options) {
  auto source = source_of(global, options.state_dir);
  if (!source) return failed(global, source.error().message);
  ctrl::AuditQuery query = options.query;
  query.since = since_time(options.since);
  std::vector<json> records;
  do {
    const size_t wanted = options.query.limit - records.size();
    query.limit = std::min<size_t>(wanted, 1000);
    const auto answer = (*source)->query(query);
    if (!answer) return failed(global, answer.error().message);
    records.insert(records.end(), answer->records.begin(), answer->records.end());
    query.before = answer->next;
  } while (query.before != 0 && records.size() < options.query.limit);
  fmt::print("{}", global.as_json ? json{{"records", records}}.dump(2) + "\n"
                                  : audit_records_view(records));
  return exit_done;
}

void add_show(CLI::App& audit, const Global& global, Action& action) {
  auto options = std::make_shared<ShowOptions>();
  auto* command = audit.add_subcommand("show", "Who changed what, when and why, newest first");
  add_state_dir(*command, options->state_dir);
  command->add_option("--route", options->query.route, "Only what is about this route");
  command->add_option("--author", options->query.author, "Only this user, by name or number");
  command->add_option("--event", options->query.event,
                      "Only change, refusal, proof, start, recovered, ...");
  command->add_option("--since", options->since, "A duration ago (2h), or a time (RFC 3339, UTC)")
      ->check(CLI::Validator(since_problem, "TIME"));
  command->add_option("--limit", options->query.limit, "At most so many (default 20)")
      ->check(CLI::Range(1u, 1'000'000u));
  command->callback([&global, &action, options] {
    action = [&global, options] { return show(global, *options); };
  });
}

struct ExportOptions {
  std::string state_dir, output;
};

int export_log(const Global& global, const ExportOptions& options) {
  auto source = source_of(global, options.state_dir);
  if (!source) return failed(global, source.error().message);
  std::ofstream file;
  if (!options.output.empty()) file.open(options.output, std::ios::binary | std::ios::trunc);
  Status done = (*source)->lines([&](const std::string& line) {
    if (options.output.empty()) {
      fmt::print("{}\n", line);
    } else {
      file << line << '\n';
    }
  });
  if (!options.output.empty()) file.close();
  if (done && file.fail()) done = fail(fmt::format("cannot write {}", options.output));
  return done ? exit_done : failed(global, done.error().message);
}

void add_export(CLI::App& audit, const Global& global, Action& action) {
  auto options = std::make_shared<ExportOptions>();
  auto* command = audit.add_subcommand("export", "Print every record as it is in the log");
  add_state_dir(*command, options->state_dir);
  command->add_option("--output", options->output, "Write to this file");
  command->footer("The copy keeps its hashes: sluice audit verify FILE checks it anywhere.");
  command->callback([&global, &action, options] {
    action = [&global, options] { return export_log(global, *options); };
  });
}

}  // namespace

void add_audit_commands(CLI::App& app, const Global& global, Action& action) {
  auto* audit = app.add_subcommand("audit", "The audit log: verify it, look into it, export it");
  audit->require_subcommand(1);
  add_verify(*audit, global, action);
  add_show(*audit, global, action);
  add_export(*audit, global, action);
}

}  // namespace sluice::cli

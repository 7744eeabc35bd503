#include "ctrl/control/governor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "ctrl/control/whole_file.h"
#include "ctrl/govern/diff_hash.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {
namespace {

constexpr size_t file_bytes_max = 256u << 20;
constexpr size_t freezes_max = 64;
constexpr mode_t file_mode = 0600;

std::unexpected<Refusal> refuse(std::string why, std::string message) {
  return std::unexpected(Refusal{Refusal::Kind::refused, std::move(message), {}, std::move(why)});
}

Json freeze_json(const FreezeConfig& freeze) {
  return {{"name", freeze.name},
          {"from_unix_ms", freeze.from_unix_ms},
          {"until_unix_ms", freeze.until_unix_ms},
          {"routes", freeze.routes},
          {"reason", freeze.reason}};
}

FreezeConfig freeze_from_json(const Json& json) {
  return {.name = json.at("name").get<std::string>(),
          .from_unix_ms = json.at("from_unix_ms").get<uint64_t>(),
          .until_unix_ms = json.at("until_unix_ms").get<uint64_t>(),
          .routes = json.at("routes").get<std::vector<std::string>>(),
          .reason = json.at("reason").get<std::string>()};
}

Json pending_fields(const PendingChange& change) {
  return {{"id", change.id},
          {"verb", change.method.substr(change.method.rfind('.') + 1)},
          {"routes", change.routes},
          {"diff", change.diff},
          {"diff_hash", change.hash},
          {"asked_by", {{"user", change.author.user}, {"uid", change.author.uid}}},
          {"expires_at", format_time(change.expires_unix_ms)}};
}

}  // namespace

Person person_of(const Author& author) {
  Person person{
      .user = author.user, .uid = author.uid, .gids = author.groups, .internal = author.internal};
  person.gids.push_back(author.gid);
  return person;
}

Governor::Governor(std::filesystem::path file, AuditTrail& audit, EventHub& events)
    : file_(std::move(file)), audit_(audit), events_(events) {
  load();
}

AccessAnswer Governor::may(const Config& config, const Author& author, std::string_view verb,
                           const Touched& touched) const {
  return Access(config.govern, ::geteuid()).may(person_of(author), verb, touched);
}

std::string Governor::roles_of(const Config& config, const Author& author) const {
  return Access(config.govern, ::geteuid()).roles_of(person_of(author));
}

/// Freezes and policies, which hold for everybody: refused, or set aside by break-glass.
std::expected<void, Refusal> Governor::check_limits(const Proposal& proposal,
                                                    const Touched& touched, uint64_t unix_ms,
                                                    Exceptions& exceptions) const {
  if (proposal.verb == "rollback") return {};
  auto freezes = proposal.before.govern.freezes;
  freezes.insert(freezes.end(), freezes_.begin(), freezes_.end());
  if (auto why = frozen(freezes, touched, unix_ms)) {
    if (!proposal.options.break_glass) return refuse("freeze", std::move(*why));
    exceptions.overrode.push_back(std::move(*why));
  }
  if (auto why = too_big_a_step(proposal.before, proposal.after)) {
    if (!proposal.options.break_glass) return refuse("policy", std::move(*why));
    exceptions.overrode.push_back(std::move(*why));
  }
  return {};
}

std::expected<Admission, Refusal> Governor::judge(const Proposal& proposal, uint64_t unix_ms) {
  const ChangeOptions& options = proposal.options;
  const Touched touched = touched_by(proposal.before, proposal.after);
  Admission admission;
  AuditDetails& details = admission.details;
  details.routes = {touched.routes.begin(), touched.routes.end()};
  details.intent = options.intent;
  details.diff_hash = diff_hash(proposal.verb, options.intent, proposal.diff);
  const AccessAnswer access = may(proposal.before, options.author, proposal.verb, touched);
  details.role = access.role;
  if (options.author.internal) return admission;
  if (!access.allowed) return refuse("role", access.why);
  if (options.break_glass) {
    const AccessAnswer breaks = may(proposal.before, options.author, "break-glass", touched);
    if (!breaks.allowed) return refuse("role", breaks.why);
    if (options.reason.empty()) return refuse("invalid", "--break-glass needs a --reason");
  }
  Exceptions exceptions;
  if (auto limits = check_limits(proposal, touched, unix_ms, exceptions); !limits) {
    return std::unexpected(limits.error());
  }
  const auto routes = need_approval(proposal.before, proposal.after, touched);
  // What was approved once may come back at once: a rollback is how exposure ends.
  if (!routes.empty() && proposal.verb != "rollback") {
    if (options.break_glass) {
      exceptions.overrode.push_back(
          fmt::format("route {} needs the approval of a second person", *routes.begin()));
    } else if (!options.approval) {
      auto waits = wait_for_approval(proposal, touched, details, unix_ms);
      if (!waits) return std::unexpected(waits.error());
      admission.waits = std::move(*waits);
      return admission;
    }
  }
  if (options.approval && options.approval->hash != details.diff_hash) {
    return refuse("approval",
                  "it would not do what was approved any more, since something else changed; ask "
                  "for it again");
  }
  if (options.approval) details.approval = options.approval->record;
  details.break_glass = options.break_glass;
  details.overrode = std::move(exceptions.overrode);
  if (options.break_glass && !options.dry_run) counts_.break_glass++;
  return admission;
}

std::expected<Json, Refusal> Governor::wait_for_approval(const Proposal& proposal,
                                                         const Touched& touched,
                                                         const AuditDetails& details,
                                                         uint64_t unix_ms) {
  const ChangeOptions& options = proposal.options;
  PendingChange change{.id = details.diff_hash.substr(0, approval_id_bytes),
                       .hash = details.diff_hash,
                       .method = options.method,
                       .params = options.params,
                       .author = person_of(options.author),
                       .reason = options.reason,
                       .diff = proposal.diff,
                       .routes = touched.routes,
                       .node_wide = touched.node_wide,
                       .generation = proposal.generation,
                       .asked_unix_ms = unix_ms,
                       .expires_unix_ms = unix_ms + proposal.before.govern.approval_expires_ms};
  Json shown = shown_json(change);
  if (options.dry_run) return shown;
  const PendingChange* waiting = approvals_.find(change.id);
  if (waiting != nullptr && waiting->author.uid != change.author.uid) {
    return refuse("approval", fmt::format("user {} asked for the same; approve that: {}",
                                          waiting->author.user, waiting->id));
  }
  const auto recorded = audit_.event("approval-asked", options.author, details.role, [&] {
    Json fields = pending_fields(change);
    fields["reason"] = options.reason;
    fields["intent"] = options.intent;
    return fields;
  }());
  if (!recorded) return refuse("storage", recorded.error().message);
  if (auto added = approvals_.add(std::move(change)); !added) {
    return refuse("approval", added.error().message);
  }
  if (auto saved = save(); !saved) {
    approvals_.remove(shown["id"].get<std::string>());
    return refuse("storage", saved.error().message);
  }
  events_.emit("approval", {{"state", "asked"}, {"change", shown}});
  return shown;
}

std::expected<PendingChange, Refusal> Governor::for_decision(const Config& config,
                                                             const std::string& id,
                                                             std::string_view verb,
                                                             const Author& author,
                                                             uint64_t unix_ms) {
  tick(unix_ms);
  const PendingChange* change = approvals_.find(id);
  if (change == nullptr) {
    return refuse("approval", fmt::format("no change {} waits for approval: it was decided, has "
                                          "expired, or never was; see: sluice pending",
                                          id));
  }
  const bool own = author.uid == change->author.uid;
  if (own && verb == "reject") return *change;  // taking one's own back needs no right
  Touched touched;  // who may approve for every route concerned need not be an admin of the node
  touched.routes = change->routes;
  const AccessAnswer access = may(config, author, verb, touched);
  if (!access.allowed) return refuse("role", access.why);
  if (own) {
    return refuse("approval", fmt::format("user {} asked for change {}: a second person has to "
                                          "approve it",
                                          author.user, id));
  }
  return *change;
}

void Governor::approved(const std::string& id) {
  const PendingChange* change = approvals_.find(id);
  if (change == nullptr) return;
  const Json shown = shown_json(*change);
  counts_.approved++;
  approvals_.remove(id);
  if (auto saved = save(); !saved) {
    log_error("govern", "pending approvals could not be kept", {{"error", saved.error().message}});
  }
  events_.emit("approval", {{"state", "approved"}, {"change", shown}});
}

void Governor::invalidated(const PendingChange& change, const std::string& why) {
  counts_.invalidated++;
  approvals_.remove(change.id);
  Json fields = pending_fields(change);
  fields["message"] = why;
  const Author self{.user = "sluiced", .uid = ::getuid(), .pid = ::getpid(), .internal = true};
  auto recorded = audit_.event("approval-invalid", self, "sluiced", std::move(fields));
  auto saved = save();
  for (const auto& failed : {recorded ? Status{} : Status(fail(recorded.error().message)), saved}) {
    if (!failed) log_error("govern", "an approval's end", {{"error", failed.error().message}});
  }
  events_.emit("approval", {{"state", "invalid"}, {"change", shown_json(change)}, {"why", why}});
}

Status Governor::reject(const Config& config, const PendingChange& change, const Author& author,
                        const std::string& reason) {
  Json fields = pending_fields(change);
  fields["reason"] = reason;
  const auto recorded =
      audit_.event("approval-rejected", author, roles_of(config, author), std::move(fields));
  if (!recorded) return std::unexpected(recorded.error());
  counts_.rejected++;
  approvals_.remove(change.id);
  events_.emit("approval", {{"state", "rejected"}, {"change", shown_json(change)}});
  return save();
}

Status Governor::freeze(const Config& config, FreezeConfig freeze, const Author& author) {
  if (freezes_.size() >= freezes_max) {
    return fail(fmt::format("there are {} freezes already; lift some", freezes_max));
  }
  Json fields = {{"verb", "freeze"},
                 {"name", freeze.name},
                 {"patterns", freeze.routes},
                 {"until", format_time(freeze.until_unix_ms)},
                 {"reason", freeze.reason}};
  const auto recorded = audit_.event("freeze", author, roles_of(config, author), fields);
  if (!recorded) return std::unexpected(recorded.error());
  std::erase_if(freezes_, [&](const FreezeConfig& old) { return old.name == freeze.name; });
  freezes_.push_back(std::move(freeze));
  events_.emit("freeze", std::move(fields));
  return save();
}

Status Governor::unfreeze(const Config& config, const std::string& name, const Author& author,
                          const std::string& reason) {
  const auto at = std::ranges::find(freezes_, name, &FreezeConfig::name);
  if (at == freezes_.end()) {
    const bool of_file = std::ranges::any_of(
        config.govern.freezes, [&](const FreezeConfig& each) { return each.name == name; });
    return fail(of_file
                    ? fmt::format("freeze {} is in the configuration file; change it there", name)
                    : fmt::format("there is no freeze {}", name));
  }
  const auto recorded = audit_.event("unfreeze", author, roles_of(config, author),
                                     {{"verb", "unfreeze"}, {"name", name}, {"reason", reason}});
  if (!recorded) return std::unexpected(recorded.error());
  freezes_.erase(at);
  events_.emit("unfreeze", {{"name", name}, {"reason", reason}});
  return save();
}

void Governor::tick(uint64_t unix_ms) {
  const auto expired = approvals_.take_expired(unix_ms);
  const auto over = std::erase_if(
      freezes_, [&](const FreezeConfig& freeze) { return freeze.until_unix_ms <= unix_ms; });
  if (expired.empty() && over == 0) return;
  const Author self{.user = "sluiced", .uid = ::getuid(), .pid = ::getpid(), .internal = true};
  for (const PendingChange& change : expired) {
    counts_.expired++;
    if (auto recorded = audit_.event("approval-expired", self, "sluiced", pending_fields(change));
        !recorded) {
      log_error("govern", "an approval expired", {{"error", recorded.error().message}});
    }
    events_.emit("approval", {{"state", "expired"}, {"change", shown_json(change)}});
  }
  if (auto saved = save(); !saved) {
    log_error("govern", "pending approvals could not be kept", {{"error", saved.error().message}});
  }
}

void Governor::load() {
  if (!std::filesystem::exists(file_)) return;
  try {
    const auto bytes = read_whole_file(file_, file_bytes_max);
    if (!bytes) throw std::runtime_error(bytes.error().message);
    const Json json = Json::parse(*bytes);
    for (const Json& change : json.at("pending")) {
      if (auto added = approvals_.add(pending_from_json(change)); !added) break;
    }
    for (const Json& freeze : json.at("freezes")) freezes_.push_back(freeze_from_json(freeze));
  } catch (const std::exception& error) {
    log_error("govern", "pending approvals and freezes could not be read; there are none now",
              {{"file", file_.string()}, {"error", error.what()}});
  }
}

Status Governor::save() const {
  Json pending = Json::array(), freezes = Json::array();
  for (const PendingChange& change : approvals_.all()) pending.push_back(to_json(change));
  for (const FreezeConfig& freeze : freezes_) freezes.push_back(freeze_json(freeze));
  return write_whole_file(
      file_, to_line({{"pending", std::move(pending)}, {"freezes", std::move(freezes)}}) + "\n",
      file_mode);
}

}  // namespace sluice::ctrl

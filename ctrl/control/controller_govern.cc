// What the controller asks and tells about people: records, fields that somebody holds, and who
// broke the glass.
#include "ctrl/control/controller.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {
namespace {

Json held_json(const std::vector<HeldField>& fields) {
  Json list = Json::array();
  for (const HeldField& field : fields) {
    list.push_back({{"field", field.field},
                    {"value", field.value},
                    {"file", field.file_value},
                    {"differs", field.differs},
                    {"take_over", field.owner_name},
                    {"user", field.holder.user},
                    {"uid", field.holder.uid},
                    {"since", field.holder.since},
                    {"generation", field.holder.generation},
                    {"verb", field.holder.verb}});
  }
  return list;
}

}  // namespace

/// `done`, after a refusal was put into the audit log.
ChangeDone Controller::recorded(const ChangeOptions& options, ChangeDone done) {
  if (options.dry_run) return done;
  AuditRefusal record{.author = options.author,
                      .role = governor_->roles_of(config_, options.author),
                      .verb = options.verb,
                      .routes = {},
                      .intent = options.intent,
                      .reason = options.reason,
                      .kind = {},
                      .message = {}};
  if (std::string route = text_member(options.intent, "route"); !route.empty()) {
    record.routes.push_back(std::move(route));
  }
  return [this, record = std::move(record),
          done = std::move(done)](std::expected<ChangeResult, Refusal> result) mutable {
    if (!result) {
      record.kind = result.error().why;
      record.message = result.error().message;
      around_.audit.refusal(record, now_ns());
    }
    done(std::move(result));
  };
}

Status Controller::record_and_commit(const Generation& generation, const AuditDetails& details) {
  // Recorded first: what is served is always in the audit log, also after a crash in between.
  const auto sequence = around_.audit.change(generation, details);
  if (!sequence) return std::unexpected(sequence.error());
  auto committed = around_.store.commit(generation);
  if (!committed) {
    around_.audit.not_committed(*sequence, generation.number, committed.error().message);
  }
  return committed;
}

/// A file does not undo in silence what people set by hand; then, who holds what from now on.
std::expected<void, Refusal> Controller::settle_held(const Change& change,
                                                     const ChangeOptions& options,
                                                     Candidate& candidate) const {
  if (change.verb == "apply") {
    candidate.held = held_json(held_fields(content_.overlay, content_.holders, candidate.base));
    auto overlay =
        overlay_after_apply(content_.overlay, content_.holders, candidate.base, options.takeover);
    if (!overlay) {
      return std::unexpected(Refusal{Refusal::Kind::refused, overlay.error().message, {}, "held"});
    }
    candidate.content.overlay = std::move(*overlay);
  }
  const Holder by{.user = options.author.user,
                  .uid = options.author.uid,
                  .since = wall_time(around_.unix_ms()),
                  .generation = around_.store.next_number(),
                  .verb = change.verb};
  candidate.content.holders =
      holders_after(content_.overlay, content_.holders, candidate.content.overlay,
                    change.verb == "rollback" ? change.content.holders : Holders{}, by);
  return {};
}

/// Loudly: whoever watches, reads the log or graphs the metrics sees it.
void Controller::tell_break_glass(const Change& change, const ChangeOptions& options,
                                  const AuditDetails& details, uint64_t number) const {
  log_warn("govern", "BREAK-GLASS",
           {{"user", options.author.user},
            {"verb", change.verb},
            {"generation", number},
            {"reason", options.reason},
            {"overrode", details.overrode.size()}});
  around_.events.emit("break-glass", {{"author", options.author.user},
                                      {"uid", options.author.uid},
                                      {"verb", change.verb},
                                      {"generation", number},
                                      {"reason", options.reason},
                                      {"overrode", details.overrode}});
}

}  // namespace sluice::ctrl

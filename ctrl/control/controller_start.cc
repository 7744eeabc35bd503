// How a Controller begins: from the state directory, or from the file at the first start.
#include <fmt/format.h>
#include <unistd.h>

#include "ctrl/config/changes.h"
#include "ctrl/control/controller.h"
#include "ctrl/control/peer.h"
#include "ctrl/govern/diff_hash.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {

Controller::Controller(const Surroundings& around, StartContent start)
    : around_(around),
      start_config_(std::move(start.config)),
      sampler_(around.engine),
      proofs_(around.loop, around.store, around.events, sampler_, around.now_ns) {
  observed_.ports = std::move(start.ports);
  observed_.decision_key = start.decision_key;
  governor_ = std::make_unique<Governor>(around.store.directory() / "govern.json", around.audit,
                                         around.events);
  conditions_ = std::make_unique<ConditionKeeper>(*this, around.loop, around.events);
  proofs_.set_saved([this](const Json& proof) {
    around_.audit.proof(proof);
    conditions_->proof_saved(proof);
  });
}

Controller::~Controller() {
  for (const OperationId operation : {republish_, tick_, deadline_, confirm_timer_}) {
    around_.loop.cancel(operation);
  }
}

Result<std::unique_ptr<Controller>> Controller::create(const Surroundings& around,
                                                       StartContent start) {
  const std::string text = start.text, file = start.file;
  std::unique_ptr<Controller> controller(new Controller(around, std::move(start)));
  if (auto loaded = controller->load_or_commit_first(text, file); !loaded) {
    return std::unexpected(loaded.error());
  }
  return controller;
}

Status Controller::load_or_commit_first(const std::string& text, const std::string& file) {
  const StateStore::Loaded loaded = around_.store.load_newest();
  for (const std::string& line : loaded.skipped) {
    log_error("control", "a generation is skipped", {{"error", line}});
  }
  around_.audit.begin(around_.store.numbers(), loaded.newest ? loaded.newest->number : 0);
  Generation first;
  const bool fresh = !loaded.newest.has_value();
  if (fresh) {
    first.number = around_.store.next_number();
    first.time = wall_time_now();
    first.author = {.user = user_name(::getuid()), .uid = ::getuid(), .pid = ::getpid()};
    first.verb = "start";
    first.file = file;
    first.text = text;
    first.changes = describe_changes(Config{}, start_config_);
  }
  if (auto taken = take_up(fresh ? first : *loaded.newest); !taken) return taken;
  if (fresh) {
    start_verb_ = first.verb;
    return record_and_commit(first, details_of_start(first));
  }
  auto settled = settle_confirm(*loaded.newest);
  if (!settled) return std::unexpected(settled.error());
  const Generation& newest = *settled;
  if (newest.number != loaded.newest->number) start_verb_ = newest.verb;
  log_info("control", "serving the last committed generation",
           {{"generation", newest.number}, {"verb", newest.verb}, {"time", newest.time}});
  warn_if_file_differs();
  return {};
}

/// What the record says of a generation that starting made: it is about every route.
AuditDetails Controller::details_of_start(const Generation& generation) const {
  AuditDetails details;
  details.role = "sluiced";
  for (const RouteConfig& route : config_.routes) details.routes.push_back(route.name);
  details.diff_hash = diff_hash(generation.verb, nullptr, generation.changes);
  return details;
}

Status Controller::take_up(const Generation& generation) {
  content_ = {generation.text, generation.file, generation.overlay, generation.holders};
  auto parsed = parse(content_);
  auto config = parsed ? apply_overlay(*parsed, content_.overlay) : Result<Config>(Config{});
  if (!parsed || !config) {
    return fail(
        fmt::format("generation {} in {} does not fit this sluiced ({}); move it away or "
                    "run the version that wrote it",
                    generation.number, around_.store.directory().string(),
                    parsed ? config.error().message : parsed.error().message));
  }
  base_ = std::move(*parsed);
  config_ = with_start_sections(std::move(*config));
  serve_node();
  refresh_observed();
  observed_.generation = generation.number;
  auto snapshot = compile_now(registry_, config_, generation.number);
  if (!snapshot) return std::unexpected(snapshot.error());
  snapshot_ = std::move(*snapshot);
  observed_.revision = snapshot_->revision;
  closed_.update(config_, registry_, revision());
  return {};
}

void Controller::warn_if_file_differs() const {
  const auto changes = describe_changes(config_, start_config_);
  if (changes.empty()) return;
  log_warn("control",
           "the file differs from the generation that is served; `sluice apply` takes it up",
           {{"generation", generation()}, {"changes", changes.size()}, {"first", changes[0]}});
}

Status Controller::start() {
  const uint64_t published_ns = now_ns();
  if (auto started = around_.engine.start(snapshot_); !started) return started;
  published_ns_ = published_ns;
  if (!start_verb_.empty()) {
    Change first = apply_change(content_.text, content_.file);
    first.verb = start_verb_;
    ProofPlan plan = plan_of(first, Existing::keep, Config{});
    plan.asked_at = plan.published_at = wall_time_now();
    plan.published_ns = published_ns;
    Sample at_publish = proofs_.sample(plan);
    proofs_.open(std::move(plan), std::move(at_publish), 0, nullptr);
  }
  if (start_verb_.empty()) conditions_->proof_kept(around_.store.load_proof(generation()));
  conditions_->published();
  note_lingering();
  arm_tick();
  if (pending_) await_confirm(*pending_, confirm_left_ms());
  return {};
}

}  // namespace sluice::ctrl

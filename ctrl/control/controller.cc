#include "ctrl/control/controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "ctrl/compile/pool_status.h"
#include "ctrl/config/changes.h"
#include "ctrl/control/config_lookup.h"
#include "ctrl/control/proof_plan.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {
namespace {

std::unexpected<Refusal> refuse(std::string message) {
  return std::unexpected(Refusal{Refusal::Kind::refused, std::move(message), {}});
}

}  // namespace

Config Controller::with_start_sections(Config config) const {
  config.node = start_config_.node;
  config.ports = start_config_.ports;
  config.control = start_config_.control;
  config.admin = start_config_.admin;
  return config;
}

std::expected<Config, Refusal> Controller::parse(const Content& content) const {
  ParseOutcome outcome = parse_config(content.text, content.file);
  if (outcome.errors.empty()) return std::move(outcome.config);
  const size_t count = outcome.errors.size();
  std::string message = fmt::format("{} has {} mistake{}; the first is {}", content.file, count,
                                    count == 1 ? "" : "s", to_string(outcome.errors.front()));
  return std::unexpected(
      Refusal{Refusal::Kind::refused, std::move(message), std::move(outcome.errors)});
}

Result<std::shared_ptr<const model::Snapshot>> Controller::compile_now(Registry& registry,
                                                                       const Config& config,
                                                                       uint64_t generation) const {
  Observed observed = observed_;
  observed.generation = generation;
  observed.revision++;
  return compile(without_drained_pools(config), observed, registry, snapshot_.get());
}

std::expected<Controller::Candidate, Refusal> Controller::consider(const Change& change,
                                                                   const ChangeOptions& options,
                                                                   uint64_t generation) const {
  Candidate candidate;
  candidate.content = change.content;
  if (change.content.text == content_.text) {
    candidate.base = base_;
  } else {
    auto parsed = parse(change.content);
    if (!parsed) return std::unexpected(parsed.error());
    candidate.base = std::move(*parsed);
  }
  candidate.restart_required = restart_required(start_config_, candidate.base);
  if (auto settled = settle_held(change, options, candidate); !settled) {
    return std::unexpected(settled.error());
  }
  auto config = apply_overlay(candidate.base, candidate.content.overlay);
  if (!config) return refuse(config.error().message);
  candidate.config = with_start_sections(std::move(*config));
  candidate.changes = describe_changes(config_, candidate.config);
  for (std::string& line : warnings(candidate.config)) candidate.changes.push_back(std::move(line));
  candidate.registry = registry_;
  auto snapshot = compile_now(candidate.registry, candidate.config, generation);
  if (!snapshot) return refuse(snapshot.error().message);
  candidate.snapshot = std::move(*snapshot);
  return candidate;
}

void Controller::change(std::expected<Change, Error> change, const ChangeOptions& options,
                        ChangeDone done) {
  done = recorded(options, std::move(done));
  if (options.expect_generation && *options.expect_generation != generation()) {
    return done(std::unexpected(
        Refusal{Refusal::Kind::conflict,
                fmt::format("generation {} was expected, but {} is served; look at what changed "
                            "and ask again",
                            *options.expect_generation, generation()),
                {},
                "conflict"}));
  }
  if (!change) return done(refuse(change.error().message));
  // Whoever may not do this anywhere learns nothing more, and costs nothing more.
  if (auto access = governor_->may(config_, options.author, change->verb, {}); !access.allowed) {
    return done(std::unexpected(Refusal{Refusal::Kind::refused, access.why, {}, "role"}));
  }
  if (auto refusal = conflict_with_confirm(*change, options)) {
    return done(std::unexpected(std::move(*refusal)));
  }
  auto candidate = consider(*change, options, around_.store.next_number());
  if (!candidate) return done(std::unexpected(candidate.error()));
  auto admission = governor_->judge({.verb = change->verb,
                                     .options = options,
                                     .before = config_,
                                     .after = candidate->config,
                                     .diff = candidate->changes,
                                     .generation = generation()},
                                    around_.unix_ms());
  if (!admission) return done(std::unexpected(std::move(admission.error())));
  if (options.dry_run || !admission->waits.is_null()) {
    ChangeResult result{.generation = generation(),
                        .changes = std::move(candidate->changes),
                        .restart_required = std::move(candidate->restart_required),
                        .moved = moved_slots(*snapshot_, *candidate->snapshot),
                        .waits = std::move(admission->waits),
                        .held = std::move(candidate->held),
                        .proof = nullptr,
                        .confirm = nullptr};
    return done(std::move(result));
  }
  make(*change, std::move(*candidate), options, admission->details, std::move(done));
}

Status Controller::commit(const Change& change, const Candidate& candidate,
                          const ChangeOptions& options, const std::optional<Confirm>& confirm,
                          const AuditDetails& details) {
  Generation generation;
  generation.number = candidate.snapshot->generation;
  generation.time = wall_time_now();
  generation.author = options.author;
  generation.verb = change.verb;
  generation.reason = options.reason;
  generation.file = candidate.content.file;
  generation.text = candidate.content.text;
  generation.overlay = candidate.content.overlay;
  generation.holders = candidate.content.holders;
  generation.changes = candidate.changes;
  generation.confirm = confirm;
  return record_and_commit(generation, details);
}

void Controller::make(const Change& change, Candidate candidate, const ChangeOptions& options,
                      const AuditDetails& details, ChangeDone done) {
  const std::string asked_at = wall_time_now();
  const uint64_t number = candidate.snapshot->generation;
  std::optional<Confirm> confirm;
  if (options.confirm_within_ms) confirm = new_confirm(options, number, details);
  if (auto committed = commit(change, candidate, options, confirm, details); !committed) {
    log_error("control", "a change was refused", {{"error", committed.error().message}});
    return done(
        std::unexpected(Refusal{Refusal::Kind::refused, committed.error().message, {}, "storage"}));
  }
  // From here on nothing can fail: the change is on the disk, a restart would serve it.
  const Config before = std::exchange(config_, std::move(candidate.config));
  content_ = std::move(candidate.content);
  if (options.approval) governor_->approved(text_member(options.approval->record, "id"));
  if (options.break_glass) tell_break_glass(change, options, details, number);
  base_ = std::move(candidate.base);
  registry_ = std::move(candidate.registry);
  serve_node();
  refresh_observed();
  observed_.generation = number;
  closed_.update(config_, registry_, revision() + 1);
  fences_.keep_only(closed_, drained_backends());
  proofs_.before_publish(number, [&](uint16_t ref) { return closed_.since(ref) == 0; });
  window_.clear();
  generation_base_ = decisions_now();

  // Once more, with what serve() learned about new backends; the first one stands in for it.
  auto snapshot = compile_now(registry_, config_, number);
  snapshot_ = snapshot ? std::move(*snapshot) : std::move(candidate.snapshot);
  observed_.revision = snapshot_->revision;
  ProofPlan plan = plan_of(change, options.existing, before);
  plan.asked_at = asked_at;
  if (options.existing == Existing::reset) fences_.end_now(plan, revision());
  if (options.existing == Existing::drain) {
    fences_.end_at(plan, now_ns() + options.drain_ms * 1'000'000);
  }
  Sample at_publish = proofs_.sample(plan);
  plan.published_at = wall_time_now();
  plan.published_ns = now_ns();
  publish(fences_.apply(std::move(snapshot_)));
  arm_deadline();

  log_info("control", "generation",
           {{"generation", number},
            {"verb", change.verb},
            {"author", options.author.user},
            {"reason", options.reason},
            {"changes", candidate.changes.size()}});
  around_.events.emit("generation", {{"generation", number},
                                     {"verb", change.verb},
                                     {"author", options.author.user},
                                     {"uid", options.author.uid},
                                     {"reason", options.reason},
                                     {"changes", candidate.changes}});
  ChangeResult result{.generation = number,
                      .changes = std::move(candidate.changes),
                      .restart_required = std::move(candidate.restart_required),
                      .moved = {},
                      .waits = nullptr,
                      .held = nullptr,
                      .proof = nullptr,
                      .confirm = nullptr};
  if (pending_) confirm_rolled_back(*pending_, options.author, number, confirm_left_ms() > 0);
  if (confirm) await_confirm(*confirm, confirm->within_ms);
  result.confirm = pending_json();
  proofs_.open(std::move(plan), std::move(at_publish), options.wait_ms,
               [result = std::move(result), done = std::move(done)](Proof proof) mutable {
                 result.proof = std::move(proof.json);
                 done(std::move(result));
               });
}

void Controller::rollback(std::optional<uint64_t> generation, const ChangeOptions& options,
                          ChangeDone done) {
  const auto& numbers = around_.store.numbers();
  const auto refuse_it = [&](std::string message) {
    recorded(options, std::move(done))(refuse(std::move(message)));
  };
  if (!generation && pending_) generation = pending_->back_to;
  if (!generation) {
    const auto at = std::ranges::lower_bound(numbers, this->generation());
    if (at == numbers.begin()) {
      return refuse_it(fmt::format("there is no generation before {}", this->generation()));
    }
    generation = *std::prev(at);
  }
  if (*generation == this->generation()) {
    return refuse_it(fmt::format("generation {} is the one that is served", *generation));
  }
  auto old = around_.store.load(*generation);
  if (!old) return refuse_it(old.error().message);
  change(rollback_change(*old), options, std::move(done));
}

Status Controller::verify(const std::string& route, uint64_t wait_ms, ProofDone done) {
  if (!route.empty() && find_route(config_, route) == nullptr) {
    return fail(fmt::format("there is no route {}", route));
  }
  Change question = apply_change(content_.text, content_.file);
  question.verb = "verify";
  question.route = route;
  ProofPlan plan = plan_of(question, Existing::keep, config_);
  plan.asked_at = wall_time_now();
  plan.published_ns = published_ns_;
  std::map<std::string, uint16_t> refs;
  for (const ProofPool& pool : plan.pools) {
    refs.emplace(fmt::format("{}/{}/{}", pool.key.route, pool.key.rule, pool.key.pool), pool.ref);
  }
  Sample now = proofs_.sample(plan);
  proofs_.ask(std::move(plan), std::move(now), wait_ms,
              [this, refs = std::move(refs), done = std::move(done)](Proof proof) {
                window_.annotate(proof.json, refs, now_ns(), decisions_now());
                done(std::move(proof));
              });
  return {};
}

ProofPlan Controller::plan_of(const Change& change, Existing existing, const Config& before) const {
  const auto ids = backend_ids();
  return make_plan({.change = change,
                    .existing = existing,
                    .before = before,
                    .after = config_,
                    .snapshot = *snapshot_,
                    .registry = registry_,
                    .closed = closed_,
                    .backend_ids = ids});
}

std::map<BackendKey, uint16_t> Controller::backend_ids() const {
  std::map<BackendKey, uint16_t> ids;
  for (const PoolStatus& pool : pool_status(config_, observed_, registry_)) {
    for (const BackendStatus& backend : pool.backends) {
      if (backend.id != model::no_backend) ids[{pool.name, backend.endpoint}] = backend.id;
    }
  }
  return ids;
}

std::set<uint16_t> Controller::drained_backends() const {
  std::set<uint16_t> drained;
  for (const PoolStatus& pool : pool_status(config_, observed_, registry_)) {
    for (const BackendStatus& backend : pool.backends) {
      if (backend.state == BackendState::drained) drained.insert(backend.id);
    }
  }
  return drained;
}

}  // namespace sluice::ctrl

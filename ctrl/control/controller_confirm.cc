// `--confirm-within`: the change that awaits confirmation, and what ends the wait.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "ctrl/config/changes.h"
#include "ctrl/config/duration.h"
#include "ctrl/control/controller.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;

constexpr auto retry_interval = 1s;  // a rollback that the disk refuses is tried again

std::unexpected<Refusal> refuse(std::string message) {
  return std::unexpected(Refusal{Refusal::Kind::refused, std::move(message), {}});
}

Author sluiced() {
  return {.user = "sluiced", .uid = ::getuid(), .pid = ::getpid(), .internal = true};
}

std::string timeout_reason(const Confirm& confirm) {
  return fmt::format("generation {} was not confirmed within {}", confirm.generation,
                     format_duration_ms(confirm.within_ms));
}

}  // namespace

std::optional<Refusal> Controller::conflict_with_confirm(const Change& change,
                                                         const ChangeOptions& options) const {
  if (!pending_) return std::nullopt;
  const uint64_t waits = pending_->generation;
  if (change.verb == "rollback") {
    if (!options.confirm_within_ms) return std::nullopt;
    return refuse(fmt::format("generation {} awaits confirmation: a rollback ends that, and cannot "
                              "await confirmation itself",
                              waits))
        .error();
  }
  return refuse(fmt::format("generation {} awaits confirmation; `sluice confirm` keeps it, "
                            "`sluice rollback` takes it back, then change something else",
                            waits))
      .error();
}

Confirm Controller::new_confirm(const ChangeOptions& options, uint64_t number,
                                const AuditDetails& details) const {
  return {.generation = number,
          .back_to = generation(),
          .asked_unix_ms = around_.unix_ms(),
          .within_ms = *options.confirm_within_ms,
          .existing = to_string(options.existing),
          .drain_ms = options.drain_ms,
          .routes = {details.routes.begin(), details.routes.end()}};
}

void Controller::await_confirm(const Confirm& confirm, uint64_t left_ms) {
  pending_ = confirm;
  confirm_by_ns_ = now_ns() + left_ms * 1'000'000;
  arm_confirm(std::chrono::milliseconds(left_ms));
  around_.events.emit("confirm", {{"state", "awaiting"},
                                  {"generation", confirm.generation},
                                  {"back_to", confirm.back_to},
                                  {"within_ms", confirm.within_ms},
                                  {"remaining_ms", left_ms}});
}

void Controller::arm_confirm(std::chrono::nanoseconds delay) {
  around_.loop.cancel(confirm_timer_);
  confirm_timer_ = around_.loop.after(delay, [this](int) {
    confirm_timer_ = 0;
    take_back_unconfirmed();
  });
}

void Controller::take_back_unconfirmed() {
  const Confirm confirm = *pending_;
  auto old = around_.store.load(confirm.back_to);
  ChangeOptions options;
  options.author = sluiced();
  options.reason = timeout_reason(confirm);
  options.verb = "rollback";
  options.intent = {{"generation", confirm.back_to}};
  options.existing = existing_of(confirm.existing);
  options.drain_ms = confirm.drain_ms;
  std::optional<std::string> failure;
  if (!old) {
    failure = old.error().message;
  } else {
    // A refusal comes before change() returns; the answer of one that was made comes later.
    auto refused = std::make_shared<std::optional<std::string>>();
    change(rollback_change(*old), options, [refused](const auto& outcome) {
      if (!outcome) *refused = outcome.error().message;
    });
    failure = *refused;
  }
  if (!failure) return;
  log_error("control", "an unconfirmed change could not be rolled back yet",
            {{"generation", confirm.generation}, {"error", *failure}});
  arm_confirm(retry_interval);
}

/// The wait is over since `by` took the place of the generation that awaited confirmation.
void Controller::confirm_rolled_back(Confirm confirm, const Author& author, uint64_t by,
                                     bool in_time) {
  around_.loop.cancel(std::exchange(confirm_timer_, 0));
  pending_.reset();
  const char* outcome = in_time ? "rolled-back" : "expired";
  (in_time ? confirms_.rolled_back : confirms_.expired)++;
  const Json record = {{"outcome", outcome},  {"generation", confirm.generation},
                       {"by_generation", by}, {"author", author.user},
                       {"uid", author.uid},   {"time", wall_time(around_.unix_ms())}};
  // For history alone: that generation `by` is served says it to a restarted sluiced.
  if (auto saved = around_.store.save_confirmation(confirm.generation, record); !saved) {
    log_warn("control", "what became of a confirmation could not be kept",
             {{"generation", confirm.generation}, {"error", saved.error().message}});
  }
  Json event = record;
  event["state"] = outcome;
  around_.events.emit("confirm", std::move(event));
  log(in_time ? LogLevel::info : LogLevel::warn, "control", "an unconfirmed change is rolled back",
      {{"generation", confirm.generation}, {"by_generation", by}, {"author", author.user}});
}

std::expected<Json, Refusal> Controller::confirm(std::optional<uint64_t> generation,
                                                 const Author& author, const std::string& reason) {
  if (!pending_) {
    return refuse(generation ? fmt::format("generation {} does not await confirmation", *generation)
                             : "nothing awaits confirmation");
  }
  if (generation && *generation != pending_->generation) {
    return std::unexpected(Refusal{Refusal::Kind::conflict,
                                   fmt::format("generation {} does not await confirmation, {} does",
                                               *generation, pending_->generation),
                                   {}});
  }
  const uint64_t left_ms = confirm_left_ms();
  auto recorded = around_.audit.event("confirm", author, governor_->roles_of(config_, author),
                                      {{"verb", "confirm"},
                                       {"generation", pending_->generation},
                                       {"reason", reason},
                                       {"remaining_ms", left_ms}});
  if (!recorded) return refuse(recorded.error().message);
  const Json record = {{"outcome", "confirmed"},
                       {"generation", pending_->generation},
                       {"author", author.user},
                       {"uid", author.uid},
                       {"reason", reason},
                       {"remaining_ms", left_ms},
                       {"time", wall_time(around_.unix_ms())}};
  if (auto saved = around_.store.save_confirmation(pending_->generation, record); !saved) {
    return refuse(
        fmt::format("the confirmation could not be stored ({}); generation {} still "
                    "awaits it",
                    saved.error().message, pending_->generation));
  }
  around_.loop.cancel(std::exchange(confirm_timer_, 0));
  pending_.reset();
  confirms_.confirmed++;
  Json event = record;
  event["state"] = "confirmed";
  around_.events.emit("confirm", std::move(event));
  log_info("control", "a change is confirmed",
           {{"generation", record["generation"].get<uint64_t>()},
            {"author", author.user},
            {"reason", reason}});
  return record;
}

uint64_t Controller::confirm_left_ms() const {
  const uint64_t now = now_ns();
  return confirm_by_ns_ > now ? (confirm_by_ns_ - now) / 1'000'000 : 0;
}

Json Controller::pending_json() const {
  if (!pending_) return nullptr;
  const uint64_t left_ms = confirm_left_ms();
  return {{"generation", pending_->generation},
          {"back_to", pending_->back_to},
          {"within_ms", pending_->within_ms},
          {"remaining_ms", left_ms},
          {"until", wall_time(around_.unix_ms() + left_ms)}};
}

/// The generation to begin with: `newest`, or the rollback of it, when the time to confirm it
/// passed while no sluiced ran.
Result<Generation> Controller::settle_confirm(const Generation& newest) {
  if (!newest.confirm) return newest;
  const Confirm& confirm = *newest.confirm;
  if (!around_.store.load_confirmation(confirm.generation).is_null()) return newest;
  pending_ = confirm;
  const uint64_t left_ms = remaining_ms(confirm, around_.unix_ms());
  confirm_by_ns_ = now_ns() + left_ms * 1'000'000;
  if (left_ms > 0) return newest;
  const auto old = around_.store.load(confirm.back_to);
  if (!old) {
    log_error("control", "an unconfirmed change cannot be rolled back",
              {{"generation", confirm.generation}, {"error", old.error().message}});
    return newest;
  }
  const Config before = config_;
  Generation back = *old;
  back.number = around_.store.next_number();
  back.time = wall_time(around_.unix_ms());
  back.author = sluiced();
  back.verb = "rollback";
  back.reason = timeout_reason(confirm);
  back.confirm.reset();
  if (auto taken = take_up(back); !taken) return std::unexpected(taken.error());
  back.changes = describe_changes(before, config_);
  if (auto kept = record_and_commit(back, details_of_start(back)); !kept) {
    log_error("control", "an unconfirmed change could not be rolled back yet",
              {{"generation", confirm.generation}, {"error", kept.error().message}});
    if (auto taken = take_up(newest); !taken) return std::unexpected(taken.error());
    return newest;
  }
  confirm_rolled_back(confirm, back.author, back.number, false);
  return back;
}

}  // namespace sluice::ctrl

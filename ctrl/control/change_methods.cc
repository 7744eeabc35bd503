// The methods that change traffic, and the decisions about those that wait for approval.
#include <fmt/format.h>

#include "ctrl/control/call.h"

namespace sluice::ctrl {
namespace {

/// What a method asks for. Every parameter of it has been read when this returns.
std::expected<Change, Error> change_of(const Controller& controller, const std::string& method,
                                       Params& params) {
  const Content& content = controller.content();
  const Config& config = controller.config();
  if (method == "config.apply") {
    std::string text = params.text("text");
    return apply_change(std::move(text), params.text_or("file", "config"));
  }
  if (method == "pool.drain") {
    const std::string target = params.text("target");
    return drain_change(content, config, target, params.flag("undo"));
  }
  const std::string route = params.text("route");
  if (method == "route.switch") return switch_change(content, config, route, params.text("to"));
  const auto rule = static_cast<uint32_t>(params.number_or("rule", 0, ~0u));
  return weight_change(content, config, route, rule, params.numbers("weights", weight_max));
}

ChangeOptions options_of(const std::string& method, const Json& object, Params& params,
                         const Author& author) {
  ChangeOptions options = params.change_options(author);
  options.verb = method.substr(method.rfind('.') + 1);
  options.method = method;
  options.params = object;
  if (method == "config.apply") {
    options.takeover.names = params.names("take_over");
    options.takeover.keep_held = params.flag("keep_held");
  }
  return options;
}

void change(Call call) {
  Params params(call.request.params);
  auto change = change_of(call.controller(), call.request.method, params);
  const ChangeOptions options =
      options_of(call.request.method, call.request.params, params, call.author);
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  call.controller().change(std::move(change), options,
                           answer_with(std::move(call.respond), options.dry_run));
}

void rollback(Call call) {
  Params params(call.request.params);
  const auto generation = params.maybe_number("generation");
  const ChangeOptions options =
      options_of(call.request.method, call.request.params, params, call.author);
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  call.controller().rollback(generation, options,
                             answer_with(std::move(call.respond), options.dry_run));
}

void pending(Call call) {
  Params params(call.request.params);
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  Governor& governor = call.controller().governor();
  governor.tick(call.controller().unix_ms());
  Json changes = Json::array();
  for (const PendingChange& change : governor.approvals().all()) {
    changes.push_back(shown_json(change));
  }
  call.respond(Json{{"pending", std::move(changes)}});
}

Author author_of(const Person& person) {
  return {.user = person.user,
          .uid = person.uid,
          .pid = 0,
          .gid = person.gids.empty() ? 0 : person.gids.back(),
          .groups = person.gids};
}

/// Whether a change that was refused after its approval can never be made as it was approved.
bool is_final(const Refusal& refusal) {
  return refusal.why != "freeze" && refusal.why != "storage" && refusal.why != "conflict";
}

void make_approved(Call call, const PendingChange& change, uint64_t wait_ms, Json record) {
  Controller& controller = call.controller();
  Params params(change.params);
  auto asked = change_of(controller, change.method, params);
  ChangeOptions options =
      options_of(change.method, change.params, params, author_of(change.author));
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  options.wait_ms = wait_ms;
  options.expect_generation.reset();  // the hash binds it to what matters
  options.approval = Approval{change.hash, std::move(record)};
  controller.change(std::move(asked), options,
                    [&controller, change, respond = answer_with(call.respond, false)](
                        std::expected<ChangeResult, Refusal> result) {
                      if (!result && is_final(result.error())) {
                        controller.governor().invalidated(change, result.error().message);
                      }
                      respond(std::move(result));
                    });
}

void approve(Call call) {
  Params params(call.request.params);
  const std::string id = params.text("id"), reason = params.reason();
  const uint64_t wait_ms = params.number_or("wait_ms", 5000, wait_ms_max);
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  Controller& controller = call.controller();
  const uint64_t unix_ms = controller.unix_ms();
  const auto change =
      controller.governor().for_decision(controller.config(), id, "approve", call.author, unix_ms);
  if (!change) return refuse_recorded(call, "approve", reason, change.error());
  Json record = {{"id", id},
                 {"by", who_json(call.author,
                                 controller.governor().roles_of(controller.config(), call.author))},
                 {"at", format_time(unix_ms)},
                 {"asked_at", format_time(change->asked_unix_ms)},
                 {"reason", reason}};
  make_approved(std::move(call), *change, wait_ms, std::move(record));
}

void reject(Call call) {
  Params params(call.request.params);
  const std::string id = params.text("id"), reason = params.reason();
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  Controller& controller = call.controller();
  const auto change = controller.governor().for_decision(controller.config(), id, "reject",
                                                         call.author, controller.unix_ms());
  if (!change) return refuse_recorded(call, "reject", reason, change.error());
  auto done = controller.governor().reject(controller.config(), *change, call.author, reason);
  if (!done) return call.respond(refused(done.error().message));
  call.respond(Json{{"rejected", shown_json(*change)}});
}

}  // namespace

const std::unordered_map<std::string, Method>& change_methods() {
  static const std::unordered_map<std::string, Method> table = {
      {"config.apply", change},      {"route.weight", change},   {"route.switch", change},
      {"pool.drain", change},        {"rollback", rollback},     {"approval.list", pending},
      {"approval.approve", approve}, {"approval.reject", reject}};
  return table;
}

}  // namespace sluice::ctrl

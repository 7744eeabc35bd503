// access.can, freeze.set, freeze.lift, freeze.list.
#include <fmt/format.h>

#include "ctrl/control/call.h"
#include "ctrl/control/config_lookup.h"

namespace sluice::ctrl {
namespace {

constexpr uint64_t freeze_ms_max = 366ull * 86'400'000;

Touched touching(const std::string& route) {
  Touched touched;
  if (!route.empty()) touched.routes.insert(route);
  return touched;
}

std::vector<FreezeConfig> all_freezes(const Controller& controller) {
  auto freezes = controller.config().govern.freezes;
  const auto& by_hand = controller.governor().freezes();
  freezes.insert(freezes.end(), by_hand.begin(), by_hand.end());
  return freezes;
}

void can(Call call) {
  Params params(call.request.params);
  const std::string verb = params.text("verb"), route = params.text_or("route", "");
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  Controller& controller = call.controller();
  const RouteConfig* found = find_route(controller.config(), route);
  if (!route.empty() && found == nullptr) {
    return call.respond(refused(fmt::format("there is no route {}", route)));
  }
  const Touched touched = touching(route);
  const AccessAnswer access =
      controller.governor().may(controller.config(), call.author, verb, touched);
  const bool changes = verb == "apply" || verb == "weight" || verb == "switch" || verb == "drain";
  const auto freeze = frozen(all_freezes(controller), touched, controller.unix_ms());
  Json answer = {{"allowed", access.allowed && (!freeze || !changes)},
                 {"verb", verb},
                 {"route", route.empty() ? Json(nullptr) : Json(route)},
                 {"user", call.author.user},
                 {"role", access.role},
                 {"reason", access.allowed ? Json(nullptr) : Json(access.why)},
                 {"approval", changes && found != nullptr && found->approval}};
  if (access.allowed && freeze && changes) answer["reason"] = *freeze;
  call.respond(std::move(answer));
}

/// Whether the caller may freeze what these patterns name: everything takes the right everywhere.
std::expected<void, Refusal> may_freeze(const Call& call, std::string_view verb,
                                        const std::vector<std::string>& patterns) {
  const Config& config = call.controller().config();
  Touched touched;
  for (const RouteConfig& route : config.routes) {
    if (fits_any(route.name, patterns)) touched.routes.insert(route.name);
  }
  const AccessAnswer access = call.controller().governor().may(config, call.author, verb, touched);
  if (access.allowed) return {};
  return std::unexpected(Refusal{Refusal::Kind::refused, access.why, {}, "role"});
}

void freeze(Call call) {
  Params params(call.request.params);
  const uint64_t now = call.controller().unix_ms();
  FreezeConfig freeze;
  freeze.name = params.text_or("name", "manual");
  freeze.routes = params.names("routes");
  freeze.reason = params.reason();
  freeze.from_unix_ms = now;
  freeze.until_unix_ms = now + params.number_or("for_ms", 0, freeze_ms_max);
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  if (freeze.routes.empty()) freeze.routes = {"*"};
  if (freeze.until_unix_ms == now) {
    return call.respond(std::unexpected(
        RpcError{rpc_bad_params, "for_ms is missing: how long it lasts", {{"key", "for_ms"}}}));
  }
  if (freeze.reason.empty()) return call.respond(refused("a freeze needs a reason"));
  if (auto may = may_freeze(call, "freeze", freeze.routes); !may) {
    return refuse_recorded(call, "freeze", freeze.reason, may.error());
  }
  Controller& controller = call.controller();
  const Json answer = {{"name", freeze.name},
                       {"routes", freeze.routes},
                       {"until", format_time(freeze.until_unix_ms)}};
  auto done = controller.governor().freeze(controller.config(), std::move(freeze), call.author);
  if (!done) return call.respond(refused(done.error().message));
  call.respond(Json{{"freeze", answer}});
}

void unfreeze(Call call) {
  Params params(call.request.params);
  const std::string name = params.text_or("name", "manual"), reason = params.reason();
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  Controller& controller = call.controller();
  std::vector<std::string> patterns = {"*"};
  for (const FreezeConfig& each : controller.governor().freezes()) {
    if (each.name == name) patterns = each.routes;
  }
  if (auto may = may_freeze(call, "unfreeze", patterns); !may) {
    return refuse_recorded(call, "unfreeze", reason, may.error());
  }
  auto done = controller.governor().unfreeze(controller.config(), name, call.author, reason);
  if (!done) return call.respond(refused(done.error().message));
  call.respond(Json{{"lifted", name}});
}

void freezes(Call call) {
  Params params(call.request.params);
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  const uint64_t now = call.controller().unix_ms();
  Json list = Json::array();
  for (const FreezeConfig& each : all_freezes(call.controller())) {
    list.push_back({{"name", each.name},
                    {"routes", each.routes},
                    {"from", format_time(each.from_unix_ms)},
                    {"until", format_time(each.until_unix_ms)},
                    {"reason", each.reason},
                    {"on", is_on(each, now)}});
  }
  call.respond(Json{{"freezes", std::move(list)}});
}

}  // namespace

void refuse_recorded(const Call& call, const std::string& verb, const std::string& reason,
                     const Refusal& refusal) {
  Controller& controller = call.controller();
  controller.audit().refusal(
      {.author = call.author,
       .role = controller.governor().roles_of(controller.config(), call.author),
       .verb = verb,
       .routes = {},
       .intent = call.request.params,
       .reason = reason,
       .kind = refusal.why,
       .message = refusal.message},
      controller.now_ns());
  call.respond(refused(refusal.message));
}

const std::unordered_map<std::string, Method>& govern_methods() {
  static const std::unordered_map<std::string, Method> table = {{"access.can", can},
                                                                {"freeze.set", freeze},
                                                                {"freeze.lift", unfreeze},
                                                                {"freeze.list", freezes}};
  return table;
}

}  // namespace sluice::ctrl

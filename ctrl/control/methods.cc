#include "ctrl/control/methods.h"

#include <fmt/format.h>

#include <unordered_map>

#include "ctrl/config/changes.h"
#include "ctrl/control/call.h"
#include "ctrl/control/config_lookup.h"
#include "ctrl/control/config_view.h"
#include "ctrl/control/explain.h"
#include "ctrl/control/health_view.h"
#include "ctrl/control/history_view.h"
#include "ctrl/control/params.h"

namespace sluice::ctrl {
namespace {

void confirm(Call call) {
  Params params(call.request.params);
  const auto generation = params.maybe_number("generation");
  const std::string reason = params.reason();
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  Controller& controller = call.controller();
  Touched touched;
  if (controller.awaiting()) touched.routes = controller.awaiting()->routes;
  const AccessAnswer access =
      controller.governor().may(controller.config(), call.author, "confirm", touched);
  if (!access.allowed) {
    return refuse_recorded(call, "confirm", reason,
                           {Refusal::Kind::refused, access.why, {}, "role"});
  }
  auto confirmed = controller.confirm(generation, call.author, reason);
  if (!confirmed) return call.respond(change_answer(std::unexpected(confirmed.error()), false));
  call.respond(std::move(*confirmed));
}

void verify(Call call) {
  Params params(call.request.params);
  const std::string route = params.text_or("route", "");
  const uint64_t wait_ms = params.number_or("wait_ms", 5000, wait_ms_max);
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  auto asked = call.controller().verify(route, wait_ms, [respond = call.respond](Proof proof) {
    respond(Json{{"proof", std::move(proof.json)}});
  });
  if (!asked) call.respond(refused(asked.error().message));
}

void check(Call call) {
  Params params(call.request.params);
  const std::string text = params.text("text"), file = params.text_or("file", "config");
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  const ParseOutcome outcome = parse_config(text, file);
  call.respond(Json{{"valid", outcome.errors.empty()}, {"errors", errors_json(outcome.errors)}});
}

void diff(Call call) {
  Params params(call.request.params);
  const std::string text = params.text("text"), file = params.text_or("file", "config");
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  // A dry run that says no more than the differences.
  ChangeOptions options;
  options.dry_run = true;
  options.author.internal = true;  // everybody may look
  options.takeover.all = true;
  call.controller().change(apply_change(text, file), options,
                           [respond = call.respond](std::expected<ChangeResult, Refusal> result) {
                             if (!result) return respond(change_answer(result, true));
                             respond(Json{{"changes", result->changes},
                                          {"restart_required", result->restart_required},
                                          {"held", result->held}});
                           });
}

void get(Call call) {
  Params params(call.request.params);
  const std::string kind = params.text("kind"), name = params.text_or("name", "");
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  auto items = config_view(call.controller(), kind, name);
  if (!items) return call.respond(refused(items.error().message));
  call.respond(std::move(*items));
}

void status(Call call) {
  Params params(call.request.params);
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  call.context.status.ask(call.respond);
}

void conditions(Call call) {
  Params params(call.request.params);
  const std::string route = params.text_or("route", "");
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  Controller& controller = call.controller();
  if (!route.empty() && find_route(controller.config(), route) == nullptr) {
    return call.respond(refused(fmt::format("there is no route {}", route)));
  }
  call.respond(conditions_view(controller, route));
}

void health(Call call) {
  Params params(call.request.params);
  const std::string pool = params.text_or("pool", "");
  const uint64_t limit = params.number_or("limit", 1'000, health_limit_max);
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  auto view = health_view(call.controller(), pool, limit);
  if (!view) return call.respond(refused(view.error().message));
  call.respond(std::move(*view));
}

void history(Call call) {
  Params params(call.request.params);
  const uint64_t limit = params.number_or("limit", 20, history_limit_max);
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  call.respond(history_view(call.controller(), limit));
}

void flows(Call call) {
  Params params(call.request.params);
  FlowFilter filter;
  filter.limit = static_cast<uint32_t>(params.number_or("limit", 100, ~0u));
  filter.cursor = params.number_or("cursor", 0, ~0ull);
  filter.pool = params.text_or("pool", "");
  filter.backend = params.text_or("backend", "");
  filter.route = params.text_or("route", "");
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  call.context.flows.list(filter, [respond = call.respond](Result<Json> page) {
    if (!page) return respond(refused(page.error().message));
    respond(std::move(*page));
  });
}

void explain_tuple(Call call) {
  Params params(call.request.params);
  const std::string protocol = params.text("protocol"), source = params.text("source"),
                    destination = params.text("destination");
  if (auto error = params.finish()) return call.respond(std::unexpected(*error));
  auto answer = explain(call.controller(), protocol, source, destination);
  if (!answer) return call.respond(refused(answer.error().message));
  call.respond(std::move(*answer));
}

const std::unordered_map<std::string, Method>& methods() {
  static const std::unordered_map<std::string, Method> table = {
      {"status", status},         {"health", health},        {"config.check", check},
      {"config.diff", diff},      {"config.get", get},       {"history", history},
      {"verify", verify},         {"flows", flows},          {"confirm", confirm},
      {"explain", explain_tuple}, {"conditions", conditions}};
  return table;
}

}  // namespace

RpcHandler make_methods(const MethodContext& context) {
  return [context](const RpcRequest& request, const Author& author, Respond respond) {
    for (const auto* table : {&methods(), &change_methods(), &audit_methods(), &govern_methods()}) {
      if (const auto method = table->find(request.method); method != table->end()) {
        return method->second({context, request, author, std::move(respond)});
      }
    }
    respond(std::unexpected(
        RpcError{rpc_no_method, fmt::format("there is no method {}", request.method), nullptr}));
  };
}

}  // namespace sluice::ctrl

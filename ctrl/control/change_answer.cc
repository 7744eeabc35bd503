#include "ctrl/control/call.h"

namespace sluice::ctrl {

Json errors_json(const std::vector<ConfigError>& errors) {
  Json list = Json::array();
  for (const ConfigError& error : errors) {
    list.push_back({{"file", error.file},
                    {"line", error.line},
                    {"column", error.column},
                    {"key", error.key},
                    {"message", error.message}});
  }
  return list;
}

RpcResult change_answer(const std::expected<ChangeResult, Refusal>& result, bool dry_run) {
  if (!result) {
    const Refusal& refusal = result.error();
    RpcError error{rpc_refused, refusal.message, nullptr};
    if (refusal.kind == Refusal::Kind::conflict) error.code = rpc_conflict;
    error.data = {{"why", refusal.why}};
    if (!refusal.errors.empty()) error.data["errors"] = errors_json(refusal.errors);
    return std::unexpected(std::move(error));
  }
  Json answer = {{"generation", result->generation},
                 {"changes", result->changes},
                 {"restart_required", result->restart_required}};
  if (!result->waits.is_null()) answer["waits"] = result->waits;
  if (!dry_run) {
    answer["proof"] = result->proof;
    answer["confirm"] = result->confirm;
    return answer;
  }
  Json moved = Json::array();
  for (const MovedSlots& move : result->moved) {
    moved.push_back({{"route", move.route},
                     {"rule", move.rule},
                     {"slots_moved", move.slots_moved},
                     {"share", move.share()}});
  }
  answer["moved"] = std::move(moved);
  if (!result->held.is_null()) answer["held"] = result->held;
  answer["dry_run"] = true;
  return answer;
}

ChangeDone answer_with(Respond respond, bool dry_run) {
  return [respond = std::move(respond), dry_run](std::expected<ChangeResult, Refusal> result) {
    respond(change_answer(result, dry_run));
  };
}

}  // namespace sluice::ctrl

// Call: one request on its way through a method. ctrl thread only.
#pragma once

#include <string>
#include <unordered_map>

#include "ctrl/control/methods.h"
#include "ctrl/control/params.h"

namespace sluice::ctrl {

struct Call {
  const MethodContext& context;
  const RpcRequest& request;
  const Author& author;
  Respond respond;

  Controller& controller() const { return context.controller; }
};

using Method = void (*)(Call call);

inline std::unexpected<RpcError> refused(std::string message) {
  return std::unexpected(RpcError{rpc_refused, std::move(message), nullptr});
}

Json errors_json(const std::vector<ConfigError>& errors);
RpcResult change_answer(const std::expected<ChangeResult, Refusal>& result, bool dry_run);
ChangeDone answer_with(Respond respond, bool dry_run);

/// Puts the refusal into the audit log, then answers with it.
void refuse_recorded(const Call& call, const std::string& verb, const std::string& reason,
                     const Refusal& refusal);

/// Methods that change traffic; about the audit log; about rights and freezes.
const std::unordered_map<std::string, Method>& change_methods();
const std::unordered_map<std::string, Method>& audit_methods();
const std::unordered_map<std::string, Method>& govern_methods();

}  // namespace sluice::ctrl

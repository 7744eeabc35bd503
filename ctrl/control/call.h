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
  /// How a change is to be made; the verb is the method's last word.
  ChangeOptions options(Params& params) const {
    ChangeOptions options = params.change_options(author);
    options.verb = request.method.substr(request.method.rfind('.') + 1);
    return options;
  }
};

using Method = void (*)(Call call);

inline std::unexpected<RpcError> refused(std::string message) {
  return std::unexpected(RpcError{rpc_refused, std::move(message), nullptr});
}

/// Methods about the audit log.
const std::unordered_map<std::string, Method>& audit_methods();

}  // namespace sluice::ctrl

// The methods of the control socket: each reads its parameters, asks the Controller and answers.
// README.md beside this file documents them. ctrl thread only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ctrl/control/controller.h"
#include "ctrl/control/flow_lister.h"
#include "ctrl/control/rpc.h"
#include "ctrl/control/status_source.h"

namespace sluice::ctrl {

/// What is referred to outlives the handler.
struct MethodContext {
  Controller& controller;
  FlowLister& flows;
  StatusSource& status;
};

/// The handler of the control socket.
RpcHandler make_methods(const MethodContext& context);

}  // namespace sluice::ctrl

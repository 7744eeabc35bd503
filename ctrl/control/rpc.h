// JSON-RPC 2.0 as the control socket speaks it: one request object a line, one answer a line.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "ctrl/control/bounded_json.h"
#include "ctrl/control/generation.h"

namespace sluice::ctrl {

enum RpcCode : int {
  rpc_parse_error = -32700,
  rpc_invalid_request = -32600,
  rpc_no_method = -32601,
  rpc_bad_params = -32602,
  rpc_refused = 1,   // refused or failed; the message is one sentence
  rpc_conflict = 2,  // expect_generation is not the generation that is served
  rpc_busy = 3,      // a limit of sluiced itself; try later
};

struct RpcError {
  int code = rpc_refused;
  std::string message;
  Json data;  // null: none
};

using RpcResult = std::expected<Json, RpcError>;
using Respond = std::function<void(RpcResult result)>;

struct RpcRequest {
  Json id;  // null and `notification` false: an explicit null
  bool notification = false;
  std::string method;
  Json params;  // an object
};

/// What answers requests. `respond` is called once, at once or later, on the ctrl thread.
using RpcHandler =
    std::function<void(const RpcRequest& request, const Author& author, Respond respond)>;

/// A line that is no request: the error, and the id where it could still be read.
struct BadRequest {
  Json id;
  RpcError error;
};

std::expected<RpcRequest, BadRequest> parse_request(std::string_view line);

/// A result that was serialised before: goes into the answer as it is.
Json as_text(std::string_view json);

/// The answer's line, without newline.
std::string answer_line(const Json& id, const RpcResult& result);

}  // namespace sluice::ctrl

#include "ctrl/control/rpc.h"

namespace sluice::ctrl {
namespace {

std::unexpected<BadRequest> bad(Json id, int code, std::string message) {
  return std::unexpected(BadRequest{std::move(id), {code, std::move(message), nullptr}});
}

}  // namespace

std::expected<RpcRequest, BadRequest> parse_request(std::string_view line) {
  auto parsed = parse_bounded(line);
  if (!parsed) return bad(nullptr, rpc_parse_error, "request is " + parsed.error().message);
  Json& json = *parsed;
  if (json.is_array()) {
    return bad(nullptr, rpc_invalid_request, "batches are not supported: one request a line");
  }
  if (!json.is_object()) return bad(nullptr, rpc_invalid_request, "request is not an object");
  RpcRequest request;
  const auto id = json.find("id");
  request.notification = id == json.end();
  if (!request.notification) {
    if (!id->is_string() && !id->is_number() && !id->is_null()) {
      return bad(nullptr, rpc_invalid_request, "id must be a string, a number or null");
    }
    request.id = *id;
  }
  if (json.value("jsonrpc", Json()) != "2.0") {
    return bad(request.id, rpc_invalid_request, "jsonrpc must be \"2.0\"");
  }
  const auto method = json.find("method");
  if (method == json.end() || !method->is_string()) {
    return bad(request.id, rpc_invalid_request, "method must be a string");
  }
  request.method = method->get<std::string>();
  request.params = Json::object();
  if (const auto params = json.find("params"); params != json.end()) {
    if (!params->is_object()) {
      return bad(request.id, rpc_bad_params, "params must be an object");
    }
    request.params = std::move(*params);
  }
  return request;
}

// No answer has binary values of its own.
Json as_text(std::string_view json) { return Json::binary({json.begin(), json.end()}); }

std::string answer_line(const Json& id, const RpcResult& result) {
  if (result && result->is_binary()) {
    const Json::binary_t& text = result->get_binary();
    std::string line = R"({"id":)" + to_line(id) + R"(,"jsonrpc":"2.0","result":)";
    line.reserve(line.size() + text.size() + 1);
    line.append(text.begin(), text.end());
    return line + "}";
  }
  Json answer = {{"jsonrpc", "2.0"}, {"id", id}};
  if (result) {
    answer["result"] = *result;
  } else {
    Json error = {{"code", result.error().code}, {"message", result.error().message}};
    if (!result.error().data.is_null()) error["data"] = result.error().data;
    answer["error"] = std::move(error);
  }
  return to_line(answer);
}

}  // namespace sluice::ctrl

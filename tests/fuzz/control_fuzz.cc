// Anything as the bytes of a control socket: cut into the same lines however it arrives, and every
// request gets exactly one answer, one line of JSON with its id. A real controller answers; what
// would change something is asked as a dry run, so that inputs do not depend on each other.
#include <array>
#include <chrono>
#include <cstdlib>
#include <optional>

#include "ctrl/control/line_buffer.h"
#include "ctrl/control/methods.h"
#include "tests/ctrl/control/lab.h"
#include "tests/fuzz/expand.h"

namespace sluice::ctrl {
namespace {

using namespace std::string_view_literals;

constexpr size_t line_bytes_max = 2048;
constexpr std::array changes = {"config.apply"sv, "route.weight"sv, "route.switch"sv, "rollback"sv,
                                "pool.drain"sv};

constexpr std::array words = {
    R"({"jsonrpc":"2.0","id":1,"method":")"sv,
    R"({"jsonrpc":"2.0","id":"x","method":"route.weight","params":{)"sv,
    R"({"jsonrpc":"2.0","id":null,"method":")"sv,
    R"(","params":{)"sv,
    R"("route":"orders")"sv,
    R"(,"weights":{"orders-v1":50,"orders-v2":5})"sv,
    R"(,"to":"orders-v2")"sv,
    R"(,"reason":"r","wait_ms":0,"existing":"drain","drain_ms":1)"sv,
    R"(,"confirm_within_ms":1000,"expect_generation":1)"sv,
    "}}\n"sv,
    "status"sv,
    "health"sv,
    "history"sv,
    "verify"sv,
    "flows"sv,
    "explain"sv,
    R"("protocol":"tcp","source":"10.9.9.9:1","destination":"10.0.0.100:80")"sv,
    "config.get"sv,
    R"("kind":"pool","name":"orders-v1")"sv,
    "config.check"sv,
    "config.diff"sv,
    R"("text":"[node]\nname = \"n\"\n","file":"f")"sv,
    "route.switch"sv,
    "rollback"sv,
    R"("generation":)"sv,
    "pool.drain"sv,
    R"("target":"orders-v1")"sv,
    "audit.show"sv,
    "audit.read"sv,
    R"(,"limit":)"sv,
    "18446744073709551616"sv,
    "-1"sv,
    "1e999"sv,
    "[[[[[[[["sv,
    R"("\ud800")"sv,
    "\n"sv};

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "control_fuzz: %s\n", what);
  std::abort();
}

/// The lines that are short enough, as a server sees them that gets `piece_bytes` at a time.
std::vector<std::string> lines_of(std::string_view text, size_t piece_bytes) {
  LineBuffer buffer(line_bytes_max);
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size(); at += piece_bytes) {
    [[maybe_unused]] const bool fits = buffer.append(text.substr(at, piece_bytes));
    while (const auto line = buffer.next()) {
      if (line->size() <= line_bytes_max) lines.emplace_back(*line);
    }
    buffer.release();
    check(buffer.bytes() <= line_bytes_max, "more is kept than a line");
  }
  return lines;
}

class Server {
 public:
  Server() { check(life_.error.empty(), "the controller does not start"); }

  void ask(std::string_view line) {
    auto request = parse_request(line);
    if (!request) return check_answer(request.error().id, std::unexpected(request.error().error));
    if (std::ranges::find(changes, request->method) != changes.end()) {
      request->params["dry_run"] = true;
    }
    unsigned answers = 0;
    handler_(*request, {.user = "root", .uid = 0, .pid = 1}, [&](const RpcResult& result) {
      answers++;
      check_answer(request->id, result);
    });
    // The longest that anybody may ask to wait, in few steps.
    for (int i = 0; i < 40 && answers == 0; i++) {
      life_.loop.advance(std::chrono::milliseconds(uint64_t{1} << std::min(i, 22)));
    }
    check(answers == 1, "not exactly one answer");
    check(life_.controller->generation() == 1, "a dry run changed something");
  }

 private:
  static void check_answer(const Json& id, const RpcResult& result) {
    const std::string line = answer_line(id, result);
    check(line.find('\n') == std::string::npos, "an answer of several lines");
    const Json answer = Json::parse(line, nullptr, false);
    check(answer.is_object() && answer["jsonrpc"] == "2.0", "no answer");
    check(answer["id"] == id || !id.is_number_integer(), "another id");
    check(answer.contains("result") != answer.contains("error"), "neither result nor error");
    if (!result) check(!result.error().message.empty(), "an error that says nothing");
  }

  TemporaryDirectory directory_;
  Life life_{directory_.path()};
  FlowLister flows_{life_.loop, *life_.controller};
  Identity identity_;
  StatusSource status_{life_.loop, *life_.controller, identity_};
  RpcHandler handler_ = make_methods({*life_.controller, flows_, status_});
};

}  // namespace
}  // namespace sluice::ctrl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using namespace sluice::ctrl;
  static Server server;
  if (bytes == 0) return 0;
  const std::string text = sluice::test::expand({data + 1, bytes - 1}, words, 0x40);
  const auto lines = lines_of(text, text.size() + 1);
  check(lines == lines_of(text, 1 + data[0] % 64), "cut differently");
  for (const std::string& line : lines) server.ask(line);
  return 0;
}

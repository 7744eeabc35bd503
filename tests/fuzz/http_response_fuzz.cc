// Anything as an HTTP response: bounded, the same however it is cut, and never more body than
// asked.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ctrl/health/http_response.h"
#include "tests/fuzz/expand.h"

namespace {

using sluice::ctrl::HttpResponse;

struct Outcome {
  HttpResponse::State state;
  int status;
  std::string body, error;
  // Two limits may be passed at once: which sentence comes first depends on the pieces.
  bool same(const Outcome& other) const {
    return state == other.state && status == other.status && body == other.body;
  }
};

constexpr std::array<std::string_view, 16> words = {"HTTP/1.1 200 OK\r\n",
                                                    "HTTP/1.0 503 \r\n",
                                                    "HTTP/1.1 100 Go on\r\n",
                                                    "\r\n",
                                                    "Content-Length: ",
                                                    "Transfer-Encoding: chunked\r\n",
                                                    "5\r\n",
                                                    "hello",
                                                    "0\r\n",
                                                    "a;x=y\r\n",
                                                    "0123456789",
                                                    "Server: x\r\n",
                                                    "HTTP/1.1 204 \r\n",
                                                    "HTTP/1.1 304 No\r\n",
                                                    "18446744073709551615",
                                                    "ffffffffffffffff\r\n"};

Outcome read(std::string_view text, size_t piece_bytes, bool head, uint64_t body_max) {
  HttpResponse response(head, body_max);
  Outcome outcome{};
  const auto sink = [&](std::string_view piece) { outcome.body += piece; };
  for (size_t at = 0; at < text.size(); at += piece_bytes) {
    response.feed(text.substr(at, piece_bytes), sink);
  }
  outcome.state = response.end();
  outcome.status = response.status();
  outcome.error = response.error();
  return outcome;
}

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  if (bytes < 2) return 0;
  const bool head = (data[0] & 1) != 0;
  const uint64_t body_max = data[0] >> 1;
  const size_t piece_bytes = 1 + data[1] % 16;
  const std::string text = sluice::test::expand({data + 2, bytes - 2}, words);
  const Outcome whole = read(text, text.size() + 1, head, body_max);
  check(whole.same(read(text, piece_bytes, head, body_max)));
  check(whole.body.size() <= body_max);
  check(whole.state == HttpResponse::State::done || whole.state == HttpResponse::State::failed);
  check((whole.state == HttpResponse::State::failed) == !whole.error.empty());
  check(whole.state != HttpResponse::State::done || (whole.status >= 200 && whole.status <= 599));
  check(!head || whole.body.empty());
  return 0;
}

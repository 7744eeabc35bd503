#include "ctrl/health/http_response.h"

#include <gtest/gtest.h>

namespace sluice::ctrl {
namespace {

using State = HttpResponse::State;

struct Outcome {
  State state = State::head;
  int status = 0;
  std::string body, error;
  bool is_cut = false;
};

/// Fed in pieces of `piece_bytes`, then closed.
Outcome read(std::string_view text, size_t piece_bytes, bool head_request, uint64_t body_max) {
  HttpResponse response(head_request, body_max);
  Outcome outcome;
  for (size_t at = 0; at < text.size(); at += piece_bytes) {
    response.feed(text.substr(at, piece_bytes),
                  [&](std::string_view piece) { outcome.body += piece; });
  }
  response.end();
  outcome.state = response.state();
  outcome.status = response.status();
  outcome.error = response.error();
  outcome.is_cut = response.is_cut();
  return outcome;
}

/// The same however it is cut.
Outcome read_all(std::string_view text, bool head_request = false, uint64_t body_max = 1'000'000) {
  const Outcome whole = read(text, text.size() + 1, head_request, body_max);
  for (const size_t piece_bytes : {1, 2, 3, 7}) {
    const Outcome cut = read(text, piece_bytes, head_request, body_max);
    EXPECT_EQ(cut.state, whole.state) << text;
    EXPECT_EQ(cut.status, whole.status) << text;
    EXPECT_EQ(cut.body, whole.body) << text;
    EXPECT_EQ(cut.error, whole.error) << text;
  }
  return whole;
}

TEST(HttpResponse, ReadsBodiesOfEveryKind) {
  const auto fixed = read_all("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloEXTRA");
  EXPECT_EQ(fixed.state, State::done);
  EXPECT_EQ(fixed.status, 200);
  EXPECT_EQ(fixed.body, "hello");
  EXPECT_EQ(read_all("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
                     "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n")
                .body,
            "abc0123456789");
  const auto closed = read_all("HTTP/1.0 503 Out of it\r\nServer: x\r\n\r\nuntil the end");
  EXPECT_EQ(closed.status, 503);
  EXPECT_EQ(closed.state, State::done);
  EXPECT_EQ(closed.body, "until the end");
  EXPECT_EQ(read_all("HTTP/1.1 200\r\n\r\n").state, State::done) << "no reason, no space";
  EXPECT_EQ(read_all("HTTP/1.1 204 \r\nContent-Length: 9\r\n\r\nx").body, "");
  EXPECT_EQ(read_all("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true).state, State::done);
  const auto interim = read_all(
      "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
      "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_EQ(interim.status, 200);
  EXPECT_EQ(interim.body, "ok");
}

TEST(HttpResponse, CutsLongBodies) {
  const auto cut = read_all("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", false, 4);
  EXPECT_EQ(cut.state, State::done);
  EXPECT_TRUE(cut.is_cut);
  EXPECT_EQ(cut.body, "0123");
  const auto chunks = read_all(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n4\r\nefgh\r\n", false, 6);
  EXPECT_TRUE(chunks.is_cut);
  EXPECT_EQ(chunks.body, "abcdef");
}

TEST(HttpResponse, RefusesWhatIsNoResponse) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "closed without an answer"},
      {"HTTP/1.1 200 OK\r\nA: b", "closed within the head of the answer"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "closed within the body of the answer"},
      {"SSH-2.0-OpenSSH_9.2\r\n", "not an HTTP/1 answer: \"SSH-2.0-OpenSSH_9.2\""},
      {"HTTP/2 200 OK\r\n", "not an HTTP/1 answer: \"HTTP/2 200 OK\""},
      {"HTTP/1.1 20 OK\r\n", "not a status line: \"HTTP/1.1 20 OK\""},
      {"HTTP/1.1 2000 OK\r\n", "not a status line: \"HTTP/1.1 2000 OK\""},
      {"HTTP/1.1 099 OK\r\n", "not a status line: \"HTTP/1.1 099 OK\""},
      {"HTTP/1.1 200 OK\n\n", "a line that does not end with CR LF"},
      {"HTTP/1.1 101 Switching\r\n\r\n", "101 without having been asked"},
      {"HTTP/1.1 200 OK\r\nno colon\r\n", "not a header: \"no colon\""},
      {"HTTP/1.1 200 OK\r\nSpace : x\r\n", "not a header: \"Space : x\""},
      {"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n", "not a header: \" folded\""},
      {"HTTP/1.1 200 OK\r\nA: \x01\r\n", "control characters in header \"A\""},
      {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n", "content-length \"-1\""},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n", "content-length \"5, 5\""},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n", "content-length \"6\""},
      {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
       "content-length \"99999999999999999999\""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n",
       "transfer-encoding \"gzip, chunked\""},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
       "both transfer-encoding and content-length"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "chunk size \"-1\""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
       "chunk size \"10000000000000000\""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
       "a chunk longer than it says"},
  };
  for (const auto& [text, error] : cases) {
    const Outcome outcome = read_all(text);
    EXPECT_EQ(outcome.state, State::failed) << text;
    EXPECT_EQ(outcome.error, error) << text;
  }
}

TEST(HttpResponse, BoundsItsMemory) {
  const std::string head = "HTTP/1.1 200 OK\r\n";
  EXPECT_EQ(read_all(head + "A: " + std::string(response_line_bytes_max, 'x')).error,
            "a line of more than 8192 bytes");
  std::string headers;
  for (unsigned i = 0; i <= response_headers_max; ++i) headers += "A: b\r\n";
  EXPECT_EQ(read_all(head + headers).error, "too many headers");
  std::string large;
  for (int i = 0; i < 10; ++i) large += "A: " + std::string(4'000, 'x') + "\r\n";
  EXPECT_EQ(read_all(head + large).error, "a head of more than 32768 bytes");
  std::string interim;
  for (unsigned i = 0; i <= response_interim_max; ++i) interim += "HTTP/1.1 100 Go on\r\n\r\n";
  EXPECT_EQ(read_all(interim).error, "too many interim answers");
  std::string trailers = head + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + headers;
  EXPECT_EQ(read_all(trailers).error, "too many headers");
}

}  // namespace
}  // namespace sluice::ctrl

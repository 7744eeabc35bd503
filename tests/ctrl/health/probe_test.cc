// Every type of check against real sockets: what passes, and the sentence for what does not.
#include "ctrl/health/probe.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/ctrl/health/script_server.h"
#include "tests/ctrl/runtime/run_until.h"

namespace sluice::ctrl {
namespace {

using test::Certificate;
using test::ScriptServer;
using test::Session;

class ProbeTest : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop) << loop.error().message;
    loop_ = std::move(*loop);
  }

  ProbeResult probe(const HealthConfig& health, const Endpoint& endpoint) {
    std::optional<ProbeResult> result;
    const auto probe = Probe::start(*loop_, Check::make(health), endpoint,
                                    [&](ProbeResult ended) { result = std::move(ended); });
    EXPECT_NE(probe, nullptr);
    EXPECT_FALSE(result) << "never from inside start()";
    const OperationId limit =
        loop_->after(std::chrono::milliseconds(health.timeout_ms), [&](int) { probe->time_out(); });
    EXPECT_TRUE(test::run_until(*loop_, [&] { return result.has_value(); }));
    loop_->cancel(limit);
    return result.value_or(ProbeResult{});
  }

  std::unique_ptr<EventLoop> loop_;
};

HealthConfig http(std::string body = "") {
  HealthConfig health{.type = HealthType::http, .timeout_ms = 2'000};
  health.http.body = std::move(body);
  return health;
}

ScriptServer::Script answer(std::string text) {
  return [text = std::move(text)](const Session& session) {
    session.read();
    session.write(text);
  };
}

TEST_F(ProbeTest, HttpSendsWhatWasConfigured) {
  std::string request;
  ScriptServer server([&](const Session& session) {
    request = session.read();
    session.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  HealthConfig health = http();
  health.http.method = "OPTIONS";
  health.http.path = "/healthz?deep=1";
  health.http.host = "orders.example";
  health.http.headers = {{"X-Check", "yes"}};
  const ProbeResult result = probe(health, server.endpoint());
  EXPECT_TRUE(result.ok) << result.text;
  EXPECT_EQ(result.text, "HTTP 200");
  EXPECT_GT(result.latency_us, 0u);
  EXPECT_EQ(request,
            "OPTIONS /healthz?deep=1 HTTP/1.1\r\nHost: orders.example\r\nConnection: close\r\n"
            "X-Check: yes\r\nUser-Agent: sluice-health\r\n\r\n");
}

TEST_F(ProbeTest, HttpJudgesStatusAndBody) {
  const std::string ok =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "6\r\n{\"stat\r\nB\r\nus\": \"up\"}\n\r\n0\r\n\r\n";
  const struct {
    std::string answer;
    HealthConfig health;
    std::string text;
    bool good;
  } cases[] = {
      {"HTTP/1.1 503 Busy\r\n\r\n", http(), "HTTP 503, wanted 200-299", false},
      {"HTTP/1.1 301 Moved\r\n\r\n", http(), "HTTP 301, wanted 200-299", false},
      {ok, http("\"status\": *\"up\""), "HTTP 200, body as wanted", true},
      {ok, http("up\"}\n$"), "HTTP 200, body as wanted", true},
      {ok, http("down"), "HTTP 200, \"down\" not in the whole of the body", false},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno", http("yes"),
       "HTTP: closed within the body of the answer", false},
      {"garbage\r\n\r\n", http(), "HTTP: not an HTTP/1 answer: \"garbage\"", false},
      {"", http(), "HTTP: closed without an answer", false},
  };
  for (const auto& each : cases) {
    ScriptServer server(answer(each.answer));
    const ProbeResult result = probe(each.health, server.endpoint());
    EXPECT_EQ(result.text, each.text);
    EXPECT_EQ(result.ok, each.good);
  }
  ScriptServer moved(answer("HTTP/1.1 301 Moved\r\n\r\n"));
  HealthConfig redirects = http();
  redirects.http.status = {{200, 299}, {301, 301}};
  EXPECT_TRUE(probe(redirects, moved.endpoint()).ok);
}

TEST_F(ProbeTest, HttpBodyIsLookedAtUpToItsLimit) {
  ScriptServer server([](const Session& session) {
    session.read();
    session.write("HTTP/1.1 200 OK\r\n\r\n" + std::string(100'000, 'x') + "late");
  });
  HealthConfig health = http("late");
  health.http.body_bytes_max = 1'000;
  EXPECT_EQ(probe(health, server.endpoint()).text,
            "HTTP 200, \"late\" not in the first 1000 bytes of the body");
}

TEST_F(ProbeTest, SaysWhatItWaitedFor) {
  ScriptServer silent([](const Session& session) { session.wait_for_end(); });
  ScriptServer slow([](const Session& session) {
    session.read();
    session.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nslow");
    session.wait_for_end();
  });
  HealthConfig health = http("never");
  health.timeout_ms = 50;
  EXPECT_EQ(probe(health, silent.endpoint()).text, "HTTP: no answer within 50 ms");
  EXPECT_EQ(probe(health, slow.endpoint()).text, "HTTP 200, body not complete within 50 ms");
  health.type = HealthType::tls;
  EXPECT_EQ(probe(health, silent.endpoint()).text, "TLS: handshake not complete within 50 ms");
  ScriptServer resets([](const Session& session) {
    session.read();
    session.reset();
  });
  EXPECT_EQ(probe(http(), resets.endpoint()).text, "receive: Connection reset by peer");
}

TEST_F(ProbeTest, TlsVerifiesOnlyWhenAsked) {
  const Certificate certificate("orders.example", -86'400, 30 * 86'400);
  ScriptServer server([](const Session& session) { session.wait_for_end(); }, &certificate);
  HealthConfig health{.type = HealthType::tls, .timeout_ms = 2'000};
  const ProbeResult plain = probe(health, server.endpoint());
  EXPECT_TRUE(plain.ok) << plain.text;
  EXPECT_EQ(plain.text, "TLSv1.3");
  EXPECT_NEAR(double(plain.certificate_expires_s - ::time(nullptr)), 30 * 86'400, 5);

  const auto path = std::filesystem::temp_directory_path() / "sluice-probe-test-ca.pem";
  certificate.save(path);
  health.tls = {.sni = "orders.example", .verify = true, .ca_file = path};
  EXPECT_TRUE(probe(health, server.endpoint()).ok);
  health.tls.sni = "other.example";
  EXPECT_EQ(probe(health, server.endpoint()).text, "TLS: hostname mismatch");
  health.tls.ca_file = "/nonexistent/ca.pem";
  const ProbeResult missing = probe(health, server.endpoint());
  EXPECT_FALSE(missing.ok);
  EXPECT_TRUE(missing.text.starts_with("ca_file /nonexistent/ca.pem: ")) << missing.text;
  std::filesystem::remove(path);
}

TEST_F(ProbeTest, TlsNoticesExpiry) {
  const Certificate expired("orders.example", -10 * 86'400, -86'400);
  ScriptServer server([](const Session& session) { session.wait_for_end(); }, &expired);
  HealthConfig health{.type = HealthType::tls, .timeout_ms = 2'000};
  const ProbeResult tolerated = probe(health, server.endpoint());
  EXPECT_TRUE(tolerated.ok);
  EXPECT_EQ(tolerated.text, "TLSv1.3, but the certificate has expired");
  const auto path = std::filesystem::temp_directory_path() / "sluice-probe-test-expired.pem";
  expired.save(path);
  health.tls = {.sni = "orders.example", .verify = true, .ca_file = path};
  const ProbeResult refused = probe(health, server.endpoint());
  EXPECT_FALSE(refused.ok);
  EXPECT_EQ(refused.text, "TLS: certificate has expired");
  std::filesystem::remove(path);
}

TEST_F(ProbeTest, HttpsReadsTheAnswerWithinTls) {
  const Certificate certificate("orders.example", -60, 86'400 * 30);
  ScriptServer server(answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), &certificate);
  HealthConfig health = http("hello");
  health.type = HealthType::https;
  const ProbeResult result = probe(health, server.endpoint());
  EXPECT_TRUE(result.ok) << result.text;
  EXPECT_EQ(result.text, "HTTP 200, body as wanted");
  ScriptServer plain(answer("HTTP/1.1 400 Plain\r\n\r\n"));
  EXPECT_FALSE(probe(health, plain.endpoint()).ok);
}

/// A UDP socket that answers each datagram once.
class Echo {
 public:
  explicit Echo(std::string reply) : reply_(std::move(reply)) {
    fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof address;
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), bytes);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &bytes);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (;;) {
        std::array<char, 2'000> buffer;
        sockaddr_in from{};
        socklen_t from_bytes = sizeof from;
        const auto got = ::recvfrom(fd_, buffer.data(), buffer.size(), 0,
                                    reinterpret_cast<sockaddr*>(&from), &from_bytes);
        if (got < 0) return;
        if (std::string_view(buffer.data(), static_cast<size_t>(got)) == "stop") return;
        if (reply_.empty()) continue;
        ::sendto(fd_, reply_.data(), reply_.size(), 0, reinterpret_cast<sockaddr*>(&from),
                 from_bytes);
      }
    });
  }
  ~Echo() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::sendto(fd_, "stop", 4, 0, reinterpret_cast<sockaddr*>(&address), sizeof address);
    thread_.join();
    ::close(fd_);
  }
  Endpoint endpoint() const { return {*parse_ip("127.0.0.1"), port_}; }

 private:
  std::string reply_;
  int fd_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
};

TEST_F(ProbeTest, UdpComparesTheAnswer) {
  HealthConfig health{.type = HealthType::udp, .timeout_ms = 2'000};
  health.udp.send = std::string("\x00\x01PING", 6);
  Echo echo("PONG 17");
  EXPECT_EQ(probe(health, echo.endpoint()).text, "answered") << "nothing was expected";
  const std::tuple<BytesMatch, const char*, bool> cases[] = {
      {BytesMatch::prefix, "PONG", true},         {BytesMatch::prefix, "ONG", false},
      {BytesMatch::exact, "PONG 17", true},       {BytesMatch::exact, "PONG", false},
      {BytesMatch::regex, "^PONG [0-9]+$", true}, {BytesMatch::regex, "PANG", false},
  };
  for (const auto& [match, expect, good] : cases) {
    health.udp.match = match;
    health.udp.expect = expect;
    const ProbeResult result = probe(health, echo.endpoint());
    EXPECT_EQ(result.ok, good) << expect;
    EXPECT_EQ(result.text, good ? "answered" : "udp: unexpected answer \"PONG 17\"");
  }
}

TEST_F(ProbeTest, UdpSilenceAndIcmpAreFailures) {
  HealthConfig health{.type = HealthType::udp, .timeout_ms = 50};
  health.udp.send = "PING";
  Endpoint closed;
  {
    Echo silent("");
    EXPECT_EQ(probe(health, silent.endpoint()).text, "udp: no answer within 50 ms");
    closed = silent.endpoint();
  }
  health.timeout_ms = 2'000;
  EXPECT_EQ(probe(health, closed).text, "udp: Connection refused") << "ICMP port unreachable";
}

TEST_F(ProbeTest, PortOfTheCheckReplacesTheBackends) {
  ScriptServer server(answer("HTTP/1.1 200 OK\r\n\r\n"));
  HealthConfig health = http();
  health.port = server.endpoint().port;
  Endpoint backend = server.endpoint();
  backend.port = 1;
  EXPECT_TRUE(probe(health, backend).ok);
}

}  // namespace
}  // namespace sluice::ctrl

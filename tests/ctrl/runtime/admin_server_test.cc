#include "ctrl/runtime/admin_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <string>
#include <thread>

#include "tests/ctrl/runtime/run_until.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;
using test::run_until;

/// Sends `request` as it stands and returns all that comes back until the server closes.
std::string ask(uint16_t port, const std::string& request) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{.tv_sec = 8, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string reply;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) >= 0) {
    char buffer[4096];
    ssize_t bytes = 0;
    // EINTR: the end of an earlier test's ring may disturb this thread.
    while ((bytes = TEMP_FAILURE_RETRY(::recv(fd, buffer, sizeof buffer, 0))) > 0) {
      reply.append(buffer, static_cast<size_t>(bytes));
    }
  }
  ::close(fd);
  return reply;
}

std::string get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"; }

std::string body_of(const std::string& reply) {
  const size_t end = reply.find("\r\n\r\n");
  return end == std::string::npos ? "" : reply.substr(end + 4);
}

class AdminServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop) << loop.error().message;
    loop_ = std::move(*loop);
    auto server = AdminServer::create(*loop_, {*parse_ip("127.0.0.1"), 0});
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    ASSERT_NE(server_->port(), 0);
  }
  void TearDown() override {
    server_.reset();
    loop_.reset();
  }
  /// The reply, while the loop turns.
  std::string exchange(const std::string& request) {
    auto reply = std::async(std::launch::async, [&] { return ask(server_->port(), request); });
    EXPECT_TRUE(run_until(*loop_, [&] { return reply.wait_for(0s) == std::future_status::ready; }));
    return reply.get();
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, ServesMetricsMadeOnTheLoopThread) {
  EXPECT_TRUE(exchange(get("/metrics")).starts_with("HTTP/1.1 503 "));
  std::thread::id made_by;
  std::string text = "# TYPE sluice_up gauge\nsluice_up 1\n";
  for (int i = 0; i < 20'000; ++i) text += "sluice_filler{i=\"" + std::to_string(i) + "\"} 1\n";
  server_->set_metrics([&] {
    made_by = std::this_thread::get_id();
    return text;
  });
  const std::string reply = exchange(get("/metrics"));
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(reply.find("Content-Type: text/plain; version=0.0.4"), std::string::npos);
  EXPECT_EQ(body_of(reply), text);
  EXPECT_EQ(made_by, std::this_thread::get_id());
  EXPECT_EQ(body_of(exchange(get("/metrics?name=x"))), text) << "a query changes nothing";
}

TEST_F(AdminServerTest, ReadyAndHealthy) {
  EXPECT_TRUE(exchange(get("/healthz")).starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(exchange(get("/readyz")).starts_with("HTTP/1.1 503 "));
  bool ready = false;
  server_->set_ready([&] { return std::pair(ready, std::string(ready ? "ready" : "worker 1")); });
  std::string reply = exchange(get("/readyz"));
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(body_of(reply), "worker 1\n");
  ready = true;
  reply = exchange(get("/readyz"));
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 "));
  EXPECT_EQ(body_of(reply), "ready\n");
}

TEST_F(AdminServerTest, OtherPagesAndMethods) {
  for (const char* path :
       {"/", "/metricsx", "/metrics/x", "/x/metrics", "/etc/passwd", "/../../x"}) {
    const std::string reply = exchange(get(path));
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 404 ") || reply.starts_with("HTTP/1.1 400 "))
        << path << ": " << reply;
  }
  EXPECT_TRUE(exchange("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
                  .starts_with("HTTP/1.1 405 "));
  const std::string head = exchange("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 "));
  EXPECT_EQ(body_of(head), "");
}

TEST_F(AdminServerTest, GarbageHarmsNobody) {
  exchange(std::string(100'000, 'A'));
  exchange("GET\r\n\r\n");
  exchange(std::string("\0\1\2\3\r\n\r\n", 8));
  EXPECT_TRUE(exchange(get("/healthz")).starts_with("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, LoopThatDoesNotTurnGives503InBoundedTime) {
  const auto start = std::chrono::steady_clock::now();
  const std::string reply = ask(server_->port(), get("/healthz"));
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 503 ")) << reply;
  EXPECT_GE(took, 1900ms);
  EXPECT_LE(took, 5s);
}

TEST_F(AdminServerTest, DestructionDoesNotWaitForTheLoop) {
  auto reply = std::async(std::launch::async,
                          [port = server_->port()] { return ask(port, get("/healthz")); });
  std::this_thread::sleep_for(100ms);
  const auto start = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LE(std::chrono::steady_clock::now() - start, 1s);
  EXPECT_TRUE(reply.get().starts_with("HTTP/1.1 503 "));
}

TEST_F(AdminServerTest, LateQuestionsMeetNoCallbacks) {
  auto asked = std::make_shared<int>(0);
  server_->set_metrics([asked] {
    ++*asked;
    return std::string();
  });
  auto reply = std::async(std::launch::async,
                          [port = server_->port()] { return ask(port, get("/metrics")); });
  std::this_thread::sleep_for(100ms);
  server_.reset();
  EXPECT_EQ(asked.use_count(), 1);
  test::run_for(*loop_, 20ms);
  EXPECT_EQ(*asked, 0);
  EXPECT_TRUE(reply.get().starts_with("HTTP/1.1 503 "));
}

TEST_F(AdminServerTest, PortInUseIsToldClearly) {
  const Endpoint taken{*parse_ip("127.0.0.1"), server_->port()};
  const auto second = AdminServer::create(*loop_, taken);
  ASSERT_FALSE(second);
  EXPECT_TRUE(second.error().message.starts_with("admin: cannot listen on " + to_string(taken)))
      << second.error().message;
  EXPECT_NE(second.error().message.find("in use"), std::string::npos) << second.error().message;
}

TEST_F(AdminServerTest, Ipv6IsRefusedClearly) {
  const auto server = AdminServer::create(*loop_, {*parse_ip("::1"), 9900});
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().message, "admin: cannot listen on [::1]:9900: IPv4 addresses only");
}

}  // namespace
}  // namespace sluice::ctrl

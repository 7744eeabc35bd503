// The control socket under good clients and bad ones. The server runs on a real event loop in a
// thread of its own; the clients are plain blocking sockets.
#include "ctrl/control/rpc_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <thread>

#include "ctrl/control/peer.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;

class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    connected = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }

  /// False when the server has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  /// The next line; empty at the end of the stream or after 20 s.
  std::string line() {
    for (;;) {
      const size_t newline = pending_.find('\n');
      if (newline != std::string::npos) {
        std::string line = pending_.substr(0, newline);
        pending_.erase(0, newline + 1);
        return line;
      }
      char bytes[65'536];
      const ssize_t got = ::recv(fd_.get(), bytes, sizeof(bytes), 0);
      if (got <= 0) return {};
      pending_.append(bytes, static_cast<size_t>(got));
    }
  }
  /// Null when none came.
  Json answer() {
    Json parsed = Json::parse(line(), nullptr, false);
    return parsed.is_discarded() ? Json() : parsed;
  }
  Json call(const std::string& method, const Json& params = Json::object()) {
    send(Json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}.dump() + "\n");
    return answer();
  }
  void half_close() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }

  bool connected = false;

 private:
  UniqueFd fd_;
  std::string pending_;
};

std::string request(int id, const std::string& method, const Json& params = Json::object()) {
  return Json{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}}.dump() + "\n";
}

class RpcServerTest : public testing::Test {
 protected:
  void SetUp() override {
    set_log_observer([this](LogLevel, std::string_view line) { log_ += line; });
    char name[] = "/tmp/sluice-rpc-test-XXXXXX";
    directory_ = ::mkdtemp(name);
    path_ = directory_ + "/run/control.sock";
  }
  void TearDown() override {
    stop();
    set_log_observer({});
    std::filesystem::remove_all(directory_);
  }

  /// All of the loop belongs to its thread: requests to the kernel are completed by the thread
  /// that made them.
  void serve(RpcLimits limits = {}) {
    std::promise<std::string> started;
    auto failure = started.get_future();
    thread_ = std::thread([this, limits, &started] { live(limits, started); });
    ASSERT_EQ(failure.get(), "");
  }
  void live(const RpcLimits& limits, std::promise<std::string>& started) {
    loop_ = std::move(EventLoop::create().value());
    auto server = RpcServer::listen(
        *loop_, events_, path_,
        [this](const RpcRequest& request, const Author& author, Respond respond) {
          answer(request, author, std::move(respond));
        },
        limits);
    if (!server) return started.set_value(server.error().message);
    server_ = std::move(*server);
    started.set_value("");
    loop_->run();
    held_.clear();
    server_.reset();
    loop_.reset();
  }
  void stop() {
    if (!thread_.joinable()) return;
    loop_->stop();
    thread_.join();
  }

  /// echo: the params; who: the author; later: after 50 ms; hold: never; big: 200,000 bytes.
  void answer(const RpcRequest& request, const Author& author, Respond respond) {
    if (request.method == "echo") return respond(request.params);
    if (request.method == "who") return respond(Json{{"user", author.user}, {"uid", author.uid}});
    if (request.method == "hold") return held_.push_back(std::move(respond));
    if (request.method == "big") return respond(Json(std::string(200'000, 'b')));
    if (request.method == "later") {
      loop_->after(50ms, [respond, params = request.params](int) { respond(params); });
      return;
    }
    respond(std::unexpected(RpcError{rpc_no_method, "there is no method", nullptr}));
  }
  /// The log is the loop thread's: ask after stop().
  bool logged(std::string_view what) const { return log_.find(what) != std::string::npos; }
  void emit(unsigned count, size_t bytes) {
    loop_->post([this, count, bytes] {
      for (unsigned i = 0; i < count; i++) {
        events_.emit("test", {{"number", i}, {"filler", std::string(bytes, 'f')}});
      }
    });
  }

  std::string directory_, path_, log_;
  EventHub events_;
  std::vector<Respond> held_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<RpcServer> server_;
  std::thread thread_;
};

TEST_F(RpcServerTest, AnswersInOrderAndKnowsTheCaller) {
  serve();
  Client client(path_);
  const Json who = client.call("who");
  EXPECT_EQ(who["result"]["uid"], ::getuid());
  EXPECT_EQ(who["result"]["user"], user_name(::getuid()));
  client.send(request(1, "later", {{"n", 1}}) + request(2, "echo", {{"n", 2}}) +
              request(3, "later", {{"n", 3}}) + request(4, "none"));
  for (int id = 1; id <= 3; id++) {
    const Json answer = client.answer();
    EXPECT_EQ(answer["id"], id);
    EXPECT_EQ(answer["result"]["n"], id);
  }
  EXPECT_EQ(client.answer()["error"]["code"], rpc_no_method);
  struct stat found{};
  ASSERT_EQ(::stat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0660u);
}

TEST_F(RpcServerTest, ThousandsOfRequestsInOneWrite) {
  serve();
  Client client(path_), other(path_);
  std::string many;
  for (int i = 0; i < 5000; i++) many += request(i, "echo", {{"n", i}});
  std::jthread writer([&] { client.send(many); });
  EXPECT_EQ(other.call("echo", {{"n", 9}})["result"]["n"], 9) << "others have their turn";
  for (int i = 0; i < 5000; i++) ASSERT_EQ(client.answer()["id"], i);
}

TEST_F(RpcServerTest, GarbageIsAnsweredAndForgotten) {
  serve();
  Client client(path_);
  client.send("garbage\n\x01\x02\xff\n\n{}\n" + std::string(100'000, '[') + "\n");
  EXPECT_EQ(client.answer()["error"]["code"], rpc_parse_error);
  EXPECT_EQ(client.answer()["error"]["code"], rpc_parse_error);
  EXPECT_EQ(client.answer()["error"]["code"], rpc_invalid_request);
  EXPECT_EQ(client.answer()["error"]["message"], "request is nested deeper than 64 levels");
  EXPECT_EQ(client.call("echo", {{"n", 5}})["result"]["n"], 5);
}

TEST_F(RpcServerTest, HundredMegabyteLineHarmsNobody) {
  serve();
  Client huge(path_), other(path_);
  std::jthread writer([&] {
    const std::string part(1 << 20, 'x');
    for (int i = 0; i < 100; i++) ASSERT_TRUE(huge.send(part));
    ASSERT_TRUE(huge.send("\n" + request(7, "echo", {{"n", 7}})));
  });
  for (int i = 0; i < 20; i++) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(other.call("echo", {{"n", i}})["result"]["n"], i);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  }
  EXPECT_EQ(huge.answer()["error"]["message"], "request is longer than 8388608 bytes");
  EXPECT_EQ(huge.answer()["result"]["n"], 7) << "the line after it is heard";
}

TEST_F(RpcServerTest, LargeRequestsOfManyShareOneBound) {
  RpcLimits limits;
  limits.input_bytes_max = 3'000'000;
  serve(limits);
  std::vector<Client> clients;
  for (int i = 0; i < 4; i++) clients.emplace_back(path_);
  const std::string part(900'000, 'x');
  for (Client& client : clients) client.send(part);
  // The last one is over the bound; which it is depends on the order of arrival.
  std::this_thread::sleep_for(200ms);
  unsigned busy = 0, garbage = 0;
  for (Client& client : clients) {
    client.send("\n");
    const int code = client.answer()["error"]["code"];
    busy += code == rpc_busy;
    garbage += code == rpc_parse_error;
  }
  EXPECT_GE(busy, 1u);
  EXPECT_EQ(busy + garbage, 4u);
  EXPECT_EQ(clients[0].call("echo", {{"n", 1}})["result"]["n"], 1);
}

TEST_F(RpcServerTest, HalfClosedPeerGetsItsAnswers) {
  serve();
  Client client(path_);
  std::string without_newline = request(2, "echo", {{"n", 2}});
  without_newline.pop_back();
  client.send(request(1, "later", {{"n", 1}}) + without_newline);
  client.half_close();
  EXPECT_EQ(client.answer()["result"]["n"], 1);
  EXPECT_EQ(client.answer()["result"]["n"], 2);
  EXPECT_EQ(client.line(), "") << "then the server closes too";
}

TEST_F(RpcServerTest, HalfClosedWatcherGoesOnWatching) {
  serve();
  Client client(path_);
  client.send(request(1, "watch"));
  client.half_close();
  EXPECT_EQ(client.answer()["result"]["watching"], true);
  std::this_thread::sleep_for(1500ms);
  emit(1, 1);
  EXPECT_EQ(client.answer()["params"]["type"], "test");
}

TEST_F(RpcServerTest, AbandonedRequestIsForgotten) {
  serve();
  {
    Client client(path_);
    client.send(request(1, "hold"));
    std::this_thread::sleep_for(100ms);
  }
  Client other(path_);
  EXPECT_EQ(other.call("echo", {{"n", 1}})["result"]["n"], 1);
  loop_->post([this] {
    for (const Respond& respond : held_) respond(Json("too late"));
  });
  EXPECT_EQ(other.call("echo", {{"n", 2}})["result"]["n"], 2);
}

TEST_F(RpcServerTest, ThousandIdleClientsCostNothing) {
  serve();
  std::vector<Client> idle;
  for (int i = 0; i < 1000; i++) {
    idle.emplace_back(path_);
    ASSERT_TRUE(idle.back().connected) << i;
  }
  Client busy(path_);
  ASSERT_EQ(busy.call("echo", {{"n", 1}})["result"]["n"], 1);
  timespec before{}, after{};
  clockid_t clock{};
  ASSERT_EQ(::pthread_getcpuclockid(thread_.native_handle(), &clock), 0);
  ::clock_gettime(clock, &before);
  std::this_thread::sleep_for(1s);
  ::clock_gettime(clock, &after);
  const double spent =
      double(after.tv_sec - before.tv_sec) + double(after.tv_nsec - before.tv_nsec) / 1e9;
  EXPECT_LT(spent, 0.05) << "CPU seconds in one second with 1,000 idle clients";
  EXPECT_EQ(idle[500].call("echo", {{"n", 2}})["result"]["n"], 2);
}

TEST_F(RpcServerTest, ClientsBeyondTheLimitAreToldSo) {
  RpcLimits limits;
  limits.clients_max = 3;
  serve(limits);
  std::vector<Client> clients;
  for (int i = 0; i < 3; i++) {
    clients.emplace_back(path_);
    ASSERT_EQ(clients.back().call("echo")["id"], 1);
  }
  Client beyond(path_);
  const Json refusal = beyond.answer();
  EXPECT_EQ(refusal["error"]["code"], rpc_busy);
  EXPECT_EQ(refusal["error"]["message"], "sluiced already has 3 control connections; close one");
  EXPECT_EQ(beyond.line(), "");
  clients.pop_back();
  for (int attempt = 0; attempt < 100; attempt++) {
    Client again(path_);
    if (again.call("echo", {{"n", 1}}).contains("result")) return;
    std::this_thread::sleep_for(20ms);
  }
  FAIL() << "a place that became free was not given out";
}

TEST_F(RpcServerTest, SlowWatcherLosesEventsAndIsTold) {
  RpcLimits limits;
  limits.output_bytes_max = 100'000;
  serve(limits);
  Client slow(path_), quick(path_);
  ASSERT_TRUE(slow.call("watch")["result"]["watching"]);
  ASSERT_TRUE(quick.call("watch")["result"]["watching"]);
  unsigned quick_events = 0;
  for (int burst = 0; burst < 50; burst++) {
    emit(10, 5000);
    for (int i = 0; i < 10; i++) quick_events += quick.answer()["params"]["type"] == "test";
  }
  EXPECT_EQ(quick_events, 500u) << "a slow reader costs the others nothing";
  unsigned seen = 0, lost = 0;
  while (seen + lost < 500) {
    const Json event = slow.answer();
    ASSERT_TRUE(event.is_object()) << seen << " seen, " << lost << " lost";
    if (event["params"]["type"] == "lost") {
      lost += event["params"]["count"].get<unsigned>();
    } else {
      seen++;
    }
  }
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(seen + lost, 500u) << "every event is seen or counted";
  stop();
  EXPECT_TRUE(logged("reads too slowly and loses events"));
}

TEST_F(RpcServerTest, ReaderThatTakesNothingIsCut) {
  RpcLimits limits;
  limits.stall_max = 300ms;
  limits.output_bytes_max = 100'000;
  serve(limits);
  Client stuck(path_), other(path_);
  ASSERT_TRUE(stuck.call("watch")["result"]["watching"]);
  emit(1000, 5000);
  std::this_thread::sleep_for(1500ms);
  EXPECT_EQ(other.call("echo", {{"n", 1}})["result"]["n"], 1);
  EXPECT_FALSE(stuck.send(request(1, "echo"))) << "the server has closed";
  stop();
  EXPECT_TRUE(logged("a client that reads nothing is cut"));
}

TEST_F(RpcServerTest, HalfALineWaitsForItsOtherHalf) {
  serve();
  Client slow(path_), other(path_);
  const std::string line = request(1, "echo", {{"n", 1}});
  ASSERT_TRUE(slow.send(line.substr(0, 20)));
  for (int i = 0; i < 20; i++) ASSERT_EQ(other.call("echo", {{"n", i}})["result"]["n"], i);
  ASSERT_TRUE(slow.send(line.substr(20)));
  EXPECT_EQ(slow.answer()["result"]["n"], 1);
}

TEST_F(RpcServerTest, AThousandClientsAskAtOnce) {
  serve();
  std::vector<Client> clients;
  for (int i = 0; i < 1000; i++) {
    clients.emplace_back(path_);
    ASSERT_TRUE(clients.back().connected) << i;
  }
  for (int i = 0; i < 1000; i++) {
    ASSERT_TRUE(clients[size_t(i)].send(request(i, "echo", {{"n", i}})));
  }
  for (int i = 999; i >= 0; i--) ASSERT_EQ(clients[size_t(i)].answer()["result"]["n"], i);
}

TEST_F(RpcServerTest, ARequestMayHave8MiBAndNotAByteMore) {
  serve();
  Client client(path_);
  std::string largest = request(1, "none", {{"filler", ""}});
  largest.pop_back();  // the newline is not part of it
  largest.insert(largest.find("\"\"") + 1, json_bytes_max - largest.size(), 'x');
  std::string larger = largest;
  larger.insert(larger.find("xxx"), 1, 'x');
  ASSERT_EQ(largest.size(), json_bytes_max);
  std::jthread writer([&] { client.send(largest + "\n" + larger + "\n" + request(3, "echo")); });
  EXPECT_EQ(client.answer()["error"]["code"], rpc_no_method);
  EXPECT_EQ(client.answer()["error"]["message"], "request is longer than 8388608 bytes");
  EXPECT_EQ(client.answer()["id"], 3);
}

TEST_F(RpcServerTest, TextThatIsNoUnicodeIsRefused) {
  serve();
  Client client(path_);
  const std::string begin = R"({"jsonrpc":"2.0","id":1,"method":"echo","params":{"text":")";
  for (const char* wrong : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82",
                            R"(\ud800)", R"(\udc00\ud800)", "\x01"}) {
    client.send(begin + wrong + "\"}}\n");
    const Json answer = client.answer();
    EXPECT_EQ(answer["error"]["message"], "request is not valid JSON") << wrong;
  }
  client.send(begin + R"(\ud83d\ude00 €"}})" + "\n");
  EXPECT_EQ(client.answer()["result"]["text"], "\xf0\x9f\x98\x80 €");
}

TEST_F(RpcServerTest, NestingIsBounded) {
  serve();
  Client client(path_);
  const auto nested = [](size_t depth, std::string_view open, std::string_view close) {
    std::string text = R"({"jsonrpc":"2.0","id":1,"method":"echo","params":{"n":)";
    for (size_t i = 2; i < depth; i++) text += open;
    text += "1";
    for (size_t i = 2; i < depth; i++) text += close;
    return text + "}}\n";
  };
  for (const auto& [open, close] : {std::pair{"[", "]"}, std::pair{R"({"a":)", "}"}}) {
    client.send(nested(64, open, close));
    EXPECT_TRUE(client.answer().contains("result"));
    for (const size_t depth : {65u, 10'000u, 1'000'000u}) {
      client.send(nested(depth, open, close));
      EXPECT_EQ(client.answer()["error"]["message"], "request is nested deeper than 64 levels");
    }
  }
}

TEST_F(RpcServerTest, ReaderOfBigAnswersMakesOnlyItselfWait) {
  serve();
  Client greedy(path_), other(path_);
  std::jthread writer([&] {
    for (int i = 0; i < 200; i++) greedy.send(request(i, "big"));
  });
  std::this_thread::sleep_for(300ms);  // 40 MB of answers are asked for, at most 1 MiB is queued
  EXPECT_EQ(other.call("echo", {{"n", 1}})["result"]["n"], 1);
  for (int i = 0; i < 200; i++) ASSERT_EQ(greedy.answer()["id"], i);
}

TEST_F(RpcServerTest, DeadSocketIsReplacedAndALiveOneIsNot) {
  std::filesystem::create_directories(directory_ + "/run");
  {
    const UniqueFd dead = std::move(listen_unix(path_).value());
  }
  ASSERT_TRUE(std::filesystem::exists(path_));
  serve();
  EXPECT_EQ(Client(path_).call("echo", {{"n", 1}})["result"]["n"], 1);
  const auto second = listen_unix(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "control socket " + path_ + ": another sluiced listens on it");
  stop();
  EXPECT_FALSE(std::filesystem::exists(path_)) << "a clean stop removes it";
}

TEST_F(RpcServerTest, SomethingElseAtThePathIsLeftAlone) {
  std::filesystem::create_directories(directory_ + "/run");
  std::filesystem::create_directory(path_);
  EXPECT_EQ(listen_unix(path_).error().message,
            "control socket " + path_ + ": something else lies there; remove it");
  EXPECT_EQ(listen_unix(std::string(200, 'x')).error().message,
            "control socket " + std::string(200, 'x') + ": a path has 1 to 107 bytes");
}

}  // namespace
}  // namespace sluice::ctrl

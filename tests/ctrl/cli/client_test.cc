#include "ctrl/cli/client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

namespace sluice::cli {
namespace {

using std::chrono::milliseconds;

/// A server for one client: answers each line with the next prepared piece of text.
class Server {
 public:
  explicit Server(std::vector<std::string> answers) : answers_(std::move(answers)) {
    char pattern[] = "/tmp/sluice-client-XXXXXX";
    directory_ = ::mkdtemp(pattern);
    path = directory_ + "/socket";
    listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    std::filesystem::remove_all(directory_);
  }

  std::string path;
  std::vector<std::string> requests;

 private:
  void serve() {
    const int client = ::accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    for (const auto& answer : answers_) {
      char buffer[4096];
      const ssize_t n = ::recv(client, buffer, sizeof(buffer), 0);
      if (n <= 0) break;
      requests.emplace_back(buffer, static_cast<size_t>(n));
      EXPECT_EQ(::send(client, answer.data(), answer.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(answer.size()));
    }
    ::close(client);
  }

  std::vector<std::string> answers_;
  std::string directory_;
  int listener_ = -1;
  std::thread thread_;
};

TEST(Client, SkipsEventsAndReturnsTheAnswer) {
  std::vector<std::string> requests;
  {
    Server server(
        {"{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{}}\n"
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"generation\":4}}\n"});
    auto client = Client::connect(server.path);
    ASSERT_TRUE(client) << client.error().message;
    const auto result = client->call("status", json::object(), milliseconds(5000));
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ((*result)["generation"], 4);
    requests = server.requests;
  }
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(json::parse(requests[0])["method"], "status");
}

TEST(Client, HandsOnRefusalsWithTheirData) {
  Server server(
      {"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":2,\"message\":\"generation is 8\","
       "\"data\":{\"generation\":8}}}\n"});
  auto client = Client::connect(server.path);
  ASSERT_TRUE(client);
  const auto result = client->call("route.switch", json::object(), milliseconds(5000));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, 2);
  EXPECT_EQ(result.error().message, "generation is 8");
  EXPECT_EQ(result.error().data["generation"], 8);
}

TEST(Client, SaysWhenTheServerLeaves) {
  Server server({"{\"jsonrpc\":"});
  auto client = Client::connect(server.path);
  ASSERT_TRUE(client);
  const auto result = client->call("status", json::object(), milliseconds(5000));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, server.path + ": sluiced closed the connection");
}

TEST(Client, SaysWhenNobodyListens) {
  const auto client = Client::connect("/tmp/sluice-nobody-there.sock");
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().message,
            "/tmp/sluice-nobody-there.sock: no sluiced answers there; start it, or name its socket "
            "with --socket or SLUICE_SOCKET");
  EXPECT_FALSE(Client::connect(std::string(200, 'x')));
}

}  // namespace
}  // namespace sluice::cli

#include "ctrl/runtime/admin_server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string_view>
#include <thread>

#include "ctrl/runtime/log.h"

namespace sluice::ctrl {

namespace {

constexpr unsigned closing_wait_max_ms = 500;
constexpr std::string_view plain_text = "text/plain; charset=utf-8";
constexpr std::string_view json_text = "application/json";
constexpr std::string_view metrics_text = "text/plain; version=0.0.4; charset=utf-8";

struct Reply {
  int status = 503;
  std::string_view content_type = plain_text;
  std::string body = "the control loop does not answer\n";
};

/// What handler threads and the loop share; outlives both the server and late tasks.
struct Shared {
  std::mutex mutex;
  std::condition_variable changed;
  bool closing = false;
  int asking = 0;  // requests between question and written reply

  // Loop thread only.
  std::function<std::string()> metrics;
  std::function<std::pair<bool, std::string>()> ready;
  std::function<std::string()> health;
};

void write_reply(mg_connection* connection, const Reply& reply, bool with_body) {
  const std::string head = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
      "Cache-Control: no-store\r\n{}Connection: close\r\n\r\n",
      reply.status, ::mg_get_response_code_text(connection, reply.status), reply.content_type,
      reply.body.size(), reply.status == 405 ? "Allow: GET, HEAD\r\n" : "");
  ::mg_write(connection, head.data(), head.size());
  if (with_body) ::mg_write(connection, reply.body.data(), reply.body.size());
}

using Make = Reply (*)(const Shared&);

Reply metrics_reply(const Shared& shared) {
  if (!shared.metrics) return {.body = "no metrics yet\n"};
  return {.status = 200, .content_type = metrics_text, .body = shared.metrics()};
}

Reply backends_reply(const Shared& shared) {
  if (!shared.health) return {.body = "no backends yet\n"};
  return {.status = 200, .content_type = json_text, .body = shared.health() + "\n"};
}

Reply health_reply(const Shared&) { return {.status = 200, .body = "ok\n"}; }

Reply ready_reply(const Shared& shared) {
  if (!shared.ready) return {.body = "starting\n"};
  const auto [ready, why] = shared.ready();
  return {.status = ready ? 200 : 503, .body = why + "\n"};
}

class CivetAdmin final : public AdminServer {
 public:
  explicit CivetAdmin(EventLoop& loop) : loop_(loop) {}
  CivetAdmin(const CivetAdmin&) = delete;
  CivetAdmin& operator=(const CivetAdmin&) = delete;
  ~CivetAdmin() override;

  Status listen(const Endpoint& listen);
  void set_metrics(std::function<std::string()> metrics) override {
    shared_->metrics = std::move(metrics);
  }
  void set_ready(std::function<std::pair<bool, std::string>()> ready) override {
    shared_->ready = std::move(ready);
  }
  void set_health(std::function<std::string()> health) override {
    shared_->health = std::move(health);
  }
  uint16_t port() const override { return port_; }

 private:
  struct Page {
    CivetAdmin* server = nullptr;
    Make make = nullptr;  // null: there is no such page
  };
  static int handle(mg_connection* connection, void* data);
  static int remember_error(const mg_connection* connection, const char* message);
  Reply ask_loop(Make make) const;
  void nudge() const;

  EventLoop& loop_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::array<Page, 5> pages_;
  mg_context* context_ = nullptr;
  IpAddress address_;
  uint16_t port_ = 0;
};

CivetAdmin::~CivetAdmin() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->closing = true;
  }
  shared_->changed.notify_all();
  if (context_ == nullptr) return;
  {
    // Once it stops, civetweb writes nothing more: let the replies out first.
    std::unique_lock lock(shared_->mutex);
    shared_->changed.wait_for(lock, std::chrono::milliseconds(closing_wait_max_ms),
                              [this] { return shared_->asking == 0; });
  }
  // Left alone, civetweb looks up from its poll every two seconds only.
  std::atomic<bool> stopped{false};
  std::thread stopper([&] {
    ::mg_stop(context_);
    stopped = true;
  });
  while (!stopped) {
    nudge();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  stopper.join();
  // A question that still waits in the loop must not reach what its callbacks refer to.
  shared_->metrics = nullptr;
  shared_->ready = nullptr;
  shared_->health = nullptr;
}

/// Connects to the server, so that it looks up.
void CivetAdmin::nudge() const {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = address_.v4_raw();
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::close(fd);
}

/// On a civetweb thread: has the loop make the reply, and waits for it.
Reply CivetAdmin::ask_loop(Make make) const {
  struct Question {
    bool done = false;
    Reply reply;
  };
  const auto question = std::make_shared<Question>();
  loop_.post([question, make, shared = shared_] {
    Reply reply = make(*shared);
    {
      const std::lock_guard lock(shared->mutex);
      question->reply = std::move(reply);
      question->done = true;
    }
    shared->changed.notify_all();
  });
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait_for(lock, std::chrono::milliseconds(admin_wait_max_ms),
                            [&] { return question->done || shared_->closing; });
  return question->done ? std::move(question->reply) : Reply{};
}

int CivetAdmin::handle(mg_connection* connection, void* data) {
  const Page& page = *static_cast<const Page*>(data);
  const std::string_view method = ::mg_get_request_info(connection)->request_method;
  Shared& shared = *page.server->shared_;
  {
    const std::lock_guard lock(shared.mutex);
    ++shared.asking;
  }
  Reply reply;
  if (page.make == nullptr) {
    reply = {.status = 404, .body = "there are /metrics, /health, /healthz and /readyz\n"};
  } else if (method != "GET" && method != "HEAD") {
    reply = {.status = 405, .body = "GET and HEAD only\n"};
  } else {
    reply = page.server->ask_loop(page.make);
  }
  write_reply(connection, reply, method != "HEAD");
  {
    const std::lock_guard lock(shared.mutex);
    --shared.asking;
  }
  shared.changed.notify_all();
  return reply.status;
}

// civetweb tells why it cannot start only here; it does so on the thread that starts it.
thread_local std::string start_error;

int CivetAdmin::remember_error(const mg_connection*, const char* message) {
  if (start_error.empty()) start_error = message;  // the first is the cause, others follow
  log_debug("admin", "civetweb", {{"text", message}});
  return 1;
}

Status CivetAdmin::listen(const Endpoint& listen) {
  ::mg_init_library(0);
  const std::string address = to_string(listen);
  if (listen.address.family != Family::v4) {
    return fail(fmt::format("admin: cannot listen on {}: IPv4 addresses only", address));
  }
  address_ = listen.address;
  std::array<const char*, 11> options = {"listening_ports",
                                         address.c_str(),
                                         "num_threads",
                                         "2",
                                         "request_timeout_ms",
                                         "3000",
                                         "enable_keep_alive",
                                         "no",
                                         "enable_directory_listing",
                                         "no",
                                         nullptr};
  mg_callbacks callbacks{};
  callbacks.log_message = &CivetAdmin::remember_error;
  start_error.clear();
  context_ = ::mg_start(&callbacks, nullptr, options.data());
  if (context_ == nullptr) {
    return fail(fmt::format("admin: cannot listen on {}: {}", address, start_error));
  }
  mg_server_port bound{};
  if (::mg_get_server_ports(context_, 1, &bound) == 1) port_ = static_cast<uint16_t>(bound.port);

  constexpr std::array<std::pair<const char*, Make>, 5> uris = {{{"/metrics$", metrics_reply},
                                                                 {"/health$", backends_reply},
                                                                 {"/healthz$", health_reply},
                                                                 {"/readyz$", ready_reply},
                                                                 {"**", nullptr}}};
  for (size_t i = 0; i < uris.size(); ++i) {
    pages_[i] = {.server = this, .make = uris[i].second};
    ::mg_set_request_handler(context_, uris[i].first, &CivetAdmin::handle, &pages_[i]);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<AdminServer>> AdminServer::create(EventLoop& loop, const Endpoint& listen) {
  auto server = std::make_unique<CivetAdmin>(loop);
  if (Status listening = server->listen(listen); !listening) {
    return std::unexpected(listening.error());
  }
  return server;
}

}  // namespace sluice::ctrl

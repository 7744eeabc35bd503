// control_load: many clients of a control socket in one process. Some watch and count events, some
// watch and never read, some ask at a steady rate: answers are timed from when their request was
// due, so that one late answer makes those behind it late too. Prints "ready" when everybody
// watches, then asks until --seconds are over (0: until SIGTERM), with --count so often and no
// more, waits for what is still under way, and prints one line of JSON.
//   control_load --socket /run/sluice/control.sock --watchers 200 --stuck 5 --rate 2000 --seconds 5
//   --methods status,config.get:pool    (config.get of kind pool)
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "tests/e2e/tools/arguments.h"
#include "tests/e2e/tools/sockets.h"

namespace sluice::e2e {
namespace {

using Json = nlohmann::json;

constexpr uint64_t second_ns = 1'000'000'000;
constexpr uint64_t patience_ns = 60 * second_ns;  // ends what hangs

volatile std::sig_atomic_t stopped = 0;

std::string request_line(const std::string& method, const Json& params) {
  return Json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}.dump() + "\n";
}

/// One connection: lines out, lines in.
class Client {
 public:
  Client(const std::string& path, int epoll) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) die(path);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = this}};
    if (epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd_, &event) != 0) die("epoll_ctl");
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(fd_); }

  void send_line(const std::string& line) {
    unsent_ += line;
    flush();
  }
  void flush() {
    while (!unsent_.empty()) {
      const ssize_t sent = send(fd_, unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) return;
      if (sent < 0) die("send");
      unsent_.erase(0, static_cast<size_t>(sent));
    }
  }
  /// Calls `take` for each whole line; what is there now, or what comes first when `blocks`.
  template <typename Take>
  void read_lines(Take take, bool blocks = false) {
    std::array<char, 65'536> bytes;
    const ssize_t got = recv(fd_, bytes.data(), bytes.size(), blocks ? 0 : MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) die("the server closed a connection");
    input_.append(bytes.data(), static_cast<size_t>(got));
    size_t begin = 0;
    for (size_t end = 0; (end = input_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      take(std::string_view(input_).substr(begin, end - begin));
    }
    input_.erase(0, begin);
  }

  bool watches = false;
  bool ended = false;                      // a watcher: its last request is answered
  std::map<std::string, uint64_t> events;  // by type
  std::deque<uint64_t> due;                // of the requests under way

 private:
  int fd_;
  std::string unsent_, input_;
};

struct Plan {
  std::string socket;
  uint64_t watchers, stuck, askers, rate, seconds, count;
  std::vector<std::string> requests;
};

class ControlLoad {
 public:
  explicit ControlLoad(Plan plan) : plan_(std::move(plan)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    for (uint64_t i = 0; i < plan_.stuck; i++) watch(stuck_, -1);
    for (uint64_t i = 0; i < plan_.watchers; i++) watch(watchers_, epoll_);
    for (uint64_t i = 0; i < plan_.askers; i++) {
      askers_.push_back(std::make_unique<Client>(plan_.socket, epoll_));
    }
  }

  void run() {
    begin_ns_ = now_ns();
    while (!finished()) {
      ask();
      take_answers();
    }
    elapsed_ns_ = now_ns() - begin_ns_;
    // The answer to a watcher's request comes behind every event from before it.
    for (auto& each : watchers_) each->send_line(request_line("history", {{"limit", 1}}));
    const uint64_t until = now_ns() + patience_ns;
    while (!std::ranges::all_of(watchers_, [](auto& each) { return each->ended; })) {
      if (now_ns() > until) die("a watcher gets no answer");
      take_answers();
    }
  }

  Json report() {
    std::ranges::sort(latency_ns_);
    const auto at = [&](double share) {
      if (latency_ns_.empty()) return 0.0;
      const double rank = std::ceil(share * static_cast<double>(latency_ns_.size()));
      return static_cast<double>(latency_ns_[static_cast<size_t>(std::max(rank, 1.0)) - 1]) / 1e6;
    };
    Json events = Json::array();
    for (const auto& each : watchers_) events.push_back(each->events);
    const double elapsed_s = static_cast<double>(elapsed_ns_) / 1e9;
    return {{"asked", asked_},
            {"answered", latency_ns_.size()},
            {"errors", errors_},
            {"elapsed_s", elapsed_s},
            {"rate", static_cast<double>(latency_ns_.size()) / elapsed_s},
            {"bytes", bytes_},
            {"p50_ms", at(0.5)},
            {"p99_ms", at(0.99)},
            {"max_ms", at(1)},
            {"events", std::move(events)}};
  }

 private:
  using Clients = std::vector<std::unique_ptr<Client>>;

  void watch(Clients& into, int epoll) {
    into.push_back(std::make_unique<Client>(plan_.socket, epoll));
    Client& client = *into.back();
    client.watches = true;
    client.send_line(request_line("watch", Json::object()));
    bool watching = false;
    while (!watching) client.read_lines([&](std::string_view) { watching = true; }, true);
  }
  bool asking() const {
    if (plan_.count > 0 && asked_ < plan_.count) return true;
    if (stopped != 0) return false;
    return plan_.seconds == 0 || now_ns() < begin_ns_ + plan_.seconds * second_ns;
  }
  bool finished() {
    if (asking()) return false;
    if (end_ns_ == 0) end_ns_ = now_ns();
    if (now_ns() > end_ns_ + patience_ns) die("requests are not answered");
    return asked_ == latency_ns_.size();
  }
  uint64_t due_ns(uint64_t number) const { return begin_ns_ + number * second_ns / plan_.rate; }
  void ask() {
    const uint64_t now = now_ns();
    while (plan_.rate > 0 && asking() && (plan_.count == 0 || asked_ < plan_.count) &&
           due_ns(asked_) <= now) {
      Client& client = *askers_[asked_ % askers_.size()];
      client.due.push_back(due_ns(asked_));
      client.send_line(plan_.requests[asked_++ % plan_.requests.size()]);
    }
    for (auto& each : askers_) each->flush();
  }
  void take_answers() {
    std::array<epoll_event, 256> ready;
    const int count = epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), 1);
    for (int i = 0; i < count; i++) {
      Client& client = *static_cast<Client*>(ready[static_cast<size_t>(i)].data.ptr);
      client.read_lines([&](std::string_view line) { take(client, line); });
    }
  }
  void take(Client& client, std::string_view line) {
    if (client.watches) {
      const Json message = Json::parse(line);
      if (message.contains("id")) {
        client.ended = true;
      } else {
        client.events[message.at("params").at("type")]++;
      }
      return;
    }
    const uint64_t now = now_ns();
    latency_ns_.push_back(now - std::min(now, client.due.front()));
    client.due.pop_front();
    bytes_ += line.size();
    errors_ += line.starts_with(R"({"error")");  // members are in the order of their names
  }

  Plan plan_;
  int epoll_;
  Clients watchers_, stuck_, askers_;
  uint64_t begin_ns_ = 0, end_ns_ = 0, elapsed_ns_ = 0;
  uint64_t asked_ = 0, errors_ = 0, bytes_ = 0;
  std::vector<uint64_t> latency_ns_;
};

Plan plan_from(const Arguments& arguments) {
  Plan plan{.socket = arguments.text("socket"),
            .watchers = arguments.number("watchers", "0"),
            .stuck = arguments.number("stuck", "0"),
            .askers = arguments.number("askers", "16"),
            .rate = arguments.number("rate", "0"),
            .seconds = arguments.number("seconds", "0"),
            .count = arguments.number("count", "0"),
            .requests = {}};
  for (const std::string& method : arguments.list("methods", "status")) {
    const size_t colon = method.find(':');
    Json params = Json::object();
    if (colon != std::string::npos) params["kind"] = method.substr(colon + 1);
    plan.requests.push_back(request_line(method.substr(0, colon), params));
  }
  if (plan.askers == 0 || plan.requests.empty()) arguments.fail("nobody asks, or for nothing");
  return plan;
}

}  // namespace
}  // namespace sluice::e2e

int main(int argc, char** argv) {
  using namespace sluice::e2e;
  const Arguments arguments(argc, argv);
  raise_file_limit();
  std::signal(SIGTERM, [](int) { stopped = 1; });
  ControlLoad load(plan_from(arguments));
  std::printf("ready\n");
  std::fflush(stdout);
  load.run();
  std::printf("%s\n", load.report().dump().c_str());
}

#include "tests/e2e/tools/http_load.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

namespace sluice::e2e {
namespace {

constexpr int tick_ms = 5;
constexpr uint64_t slow_ns = 900'000'000;  // a SYN or a segment was sent again

volatile std::sig_atomic_t interrupted = 0;

Outcome outcome_of(int error) {
  if (error == ECONNRESET || error == EPIPE) return Outcome::reset;
  if (error == ETIMEDOUT) return Outcome::timeout;
  return Outcome::refused;
}

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  static constexpr std::array<std::string_view, 6> names = {"ok",      "refused", "reset",
                                                            "timeout", "closed",  "bad_answer"};
  return names[static_cast<size_t>(outcome)];
}

struct HttpLoad::Slot {
  bool kept = false;
  int fd = -1;
  bool connected = false;
  bool waiting = false;  // for an answer
  uint64_t request_ns = 0;
  uint64_t resume_ns = 0;  // pause until then
  HttpResponse response;
  ConnectionRecord record;
};

HttpLoad::HttpLoad(HttpLoadOptions options) : options_(std::move(options)) {
  for (unsigned i = 0; i < options_.parallel + options_.kept; ++i) {
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->kept = i >= options_.parallel;
  }
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) die("epoll_create1");
}

HttpLoad::~HttpLoad() { close(epoll_); }

bool HttpLoad::finishing() const {
  if (interrupted) return true;
  if (options_.count > 0 && started_ >= options_.count) return true;
  return options_.seconds > 0 &&
         static_cast<double>(now_ns() - begin_ns_) >= options_.seconds * 1e9;
}

void HttpLoad::start(Slot& slot) {
  const uint64_t index = slot.kept ? started_ + open_ : started_++;
  const size_t sources = options_.from.size();
  const uint16_t port = options_.first_port == 0 || slot.kept
                            ? uint16_t{0}
                            : static_cast<uint16_t>(options_.first_port + index / sources);
  slot.record = ConnectionRecord{.kept = slot.kept, .address = options_.from[index % sources]};
  slot.response.clear();
  slot.connected = slot.waiting = false;
  slot.fd = open_socket(options_.to, SOCK_STREAM | SOCK_NONBLOCK);
  ++open_;
  const int on = 1;
  if (port == 0) setsockopt(slot.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
  const SocketAddress from = make_address(slot.record.address, port);
  if (bind(slot.fd, from.get(), from.bytes) != 0) die("bind");
  slot.record.start_ns = slot.request_ns = now_ns();
  ++totals_.connections;
  ++since_progress_.connections;
  if (connect(slot.fd, options_.to.get(), options_.to.bytes) != 0 && errno != EINPROGRESS) {
    return end(slot, outcome_of(errno));
  }
  slot.record.port = local_port(slot.fd);
  epoll_event event{.events = EPOLLOUT, .data = {.ptr = &slot}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, slot.fd, &event) != 0) die("epoll_ctl");
}

void HttpLoad::connected(Slot& slot) {
  int error = 0;
  socklen_t bytes = sizeof(error);
  getsockopt(slot.fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
  if (error != 0) return end(slot, outcome_of(error));
  slot.connected = true;
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &slot}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, slot.fd, &event);
  send_request(slot);
}

void HttpLoad::send_request(Slot& slot) {
  const std::string request = "GET " + options_.path + " HTTP/1.1\r\nHost: lab\r\nConnection: " +
                              (slot.kept ? "keep-alive" : "close") + "\r\n\r\n";
  slot.response.clear();
  if (slot.record.requests > 0) slot.request_ns = now_ns();
  slot.waiting = true;
  if (send(slot.fd, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    end(slot, outcome_of(errno));
  }
}

void HttpLoad::answered(Slot& slot) {
  if (!slot.response.ok()) return end(slot, Outcome::bad_answer);
  const std::string stack = slot.response.header("X-Stack");
  const std::string backend = slot.response.header("X-Backend");
  ConnectionRecord& record = slot.record;
  record.end_ns = now_ns();
  const bool mixed = record.requests > 0 && record.backend != backend;
  if (record.requests++ == 0) {
    record.stack = stack;
    record.backend = backend;
  }
  for (HttpTotals* totals : {&totals_, &since_progress_}) {
    ++totals->requests;
    totals->slow += record.end_ns - slot.request_ns > slow_ns;
    totals->mixed += mixed;
    ++totals->stacks[stack];
    ++totals->backends[backend];
  }
  slot.waiting = false;
  if (!slot.kept) return;  // the server closes
  slot.response.clear();
  slot.resume_ns = record.end_ns + options_.pause_ns;
  if (finishing()) return end(slot, Outcome::ok);
  if (options_.pause_ns == 0) send_request(slot);
}

void HttpLoad::readable(Slot& slot) {
  char buffer[16'384];
  const ssize_t received = recv(slot.fd, buffer, sizeof(buffer), 0);
  if (received < 0) {
    if (errno != EAGAIN) end(slot, outcome_of(errno));
    return;
  }
  if (received == 0) {
    const bool done = !slot.waiting && !slot.kept;
    return end(slot, done ? Outcome::ok : Outcome::closed);
  }
  if (slot.response.add({buffer, static_cast<size_t>(received)}) && slot.waiting) answered(slot);
}

void HttpLoad::end(Slot& slot, Outcome outcome) {
  slot.record.outcome = outcome;
  if (outcome != Outcome::ok) {
    slot.record.end_ns = now_ns();
    for (HttpTotals* totals : {&totals_, &since_progress_}) {
      ++totals->failed;
      totals->resets += outcome == Outcome::reset;
    }
  }
  if (options_.keep_records) records_.push_back(slot.record);
  close(slot.fd);
  slot.fd = -1;
  slot.resume_ns = now_ns() + options_.pause_ns;
  --open_;
}

void HttpLoad::tick(uint64_t now) {
  const bool stop = finishing();
  for (const auto& slot : slots_) {
    if (slot->fd < 0) {
      if (!stop && now >= slot->resume_ns && !finishing()) start(*slot);
    } else if (slot->kept && slot->connected && !slot->waiting) {
      if (stop) {
        end(*slot, Outcome::ok);
      } else if (now >= slot->resume_ns) {
        send_request(*slot);
      }
    } else if (now > slot->request_ns + options_.patience_ns) {
      end(*slot, Outcome::timeout);
    }
  }
  if (options_.progress_ns > 0 && now >= progress_at_ns_) print_progress(now);
}

void HttpLoad::print_progress(uint64_t now) {
  progress_at_ns_ = now + options_.progress_ns;
  const nlohmann::json line = {{"elapsed_s", static_cast<double>(now - begin_ns_) / 1e9},
                               {"requests", since_progress_.requests},
                               {"failed", since_progress_.failed},
                               {"resets", since_progress_.resets},
                               {"stacks", since_progress_.stacks},
                               {"backends", since_progress_.backends}};
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
  since_progress_ = {};
}

void HttpLoad::run() {
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  std::signal(SIGINT, [](int) { interrupted = 1; });
  begin_ns_ = now_ns();
  progress_at_ns_ = begin_ns_ + options_.progress_ns;
  std::array<epoll_event, 256> events;
  uint64_t tick_at = 0;
  while (open_ > 0 || !finishing()) {
    if (const uint64_t now = now_ns(); now >= tick_at) {
      tick(now);
      tick_at = now + tick_ms * 1'000'000ull;
    }
    const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), tick_ms);
    for (int i = 0; i < ready; ++i) {
      Slot& slot = *static_cast<Slot*>(events[static_cast<size_t>(i)].data.ptr);
      if (slot.fd < 0) continue;
      slot.connected ? readable(slot) : connected(slot);
      if (slot.fd < 0 && options_.pause_ns == 0 && !finishing()) start(slot);
    }
  }
}

}  // namespace sluice::e2e

#include "ctrl/control/rpc_connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "ctrl/control/peer.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {
namespace {

constexpr unsigned lines_per_turn_max = 16;
constexpr std::chrono::milliseconds hangup_interval{1000};

}  // namespace

RpcConnection::RpcConnection(std::shared_ptr<RpcShared> shared, uint64_t id, UniqueFd fd)
    : shared_(std::move(shared)),
      id_(id),
      fd_(std::move(fd)),
      author_(peer_author(fd_.get())),
      input_(shared_->limits.line_bytes_max) {}

RpcConnection::~RpcConnection() { close(); }

void RpcConnection::start() { wait_readable(); }

void RpcConnection::close() {
  if (!fd_) return;
  for (OperationId* operation : {&reading_, &writing_, &stalling_}) {
    if (*operation != 0) shared_->loop.cancel(std::exchange(*operation, 0));
  }
  if (subscription_ != 0) shared_->events.unsubscribe(std::exchange(subscription_, 0));
  // A poll that the kernel still holds keeps the socket open; the peer is to hear of the end now.
  ::shutdown(fd_.get(), SHUT_RDWR);
  fd_.reset();
  output_.clear();
  input_.skip_line();
  shared_->input_bytes -= std::exchange(accounted_bytes_, 0);
  if (shared_->closed) shared_->closed(id_);
}

void RpcConnection::wait_readable() {
  if (!fd_ || reading_ != 0) return;
  if (eof_) return wait_hangup();
  reading_ = shared_->loop.poll(fd_.get(), POLLIN, [self = shared_from_this()](int result) {
    self->reading_ = 0;
    if (result < 0) return self->close();
    self->read_some();
  });
}

/// A watcher that closed its sending half still reads. io_uring's poll reports that half for
/// ever, so the end of the other one is looked for now and then.
void RpcConnection::wait_hangup() {
  reading_ = shared_->loop.after(hangup_interval, [self = shared_from_this()](int) {
    self->reading_ = 0;
    pollfd state{.fd = self->fd_.get(), .events = 0, .revents = 0};
    if (::poll(&state, 1, 0) > 0) return self->close();
    self->wait_readable();
  });
}

void RpcConnection::read_some() {
  static thread_local std::array<char, 64 * 1024> scratch;
  const ssize_t got = ::recv(fd_.get(), scratch.data(), scratch.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return wait_readable();
  if (got < 0) return close();
  if (got == 0) {
    eof_ = true;
    // The last line may lack its newline: `printf '{…}' | nc -U` is a fair client.
    if (!input_.append("\n")) refuse_line(rpc_parse_error, "request is too long");
  } else {
    take({scratch.data(), static_cast<size_t>(got)});
  }
  work();
}

void RpcConnection::take(std::string_view bytes) {
  if (!input_.append(bytes)) {
    refuse_line(rpc_parse_error,
                fmt::format("request is longer than {} bytes", shared_->limits.line_bytes_max));
  }
  account_input();
  if (shared_->input_bytes > shared_->limits.input_bytes_max) {
    input_.skip_line();
    account_input();
    refuse_line(rpc_busy, "too many large requests at once; try later");
  }
}

void RpcConnection::account_input() {
  if (!fd_) return;
  shared_->input_bytes += input_.bytes() - accounted_bytes_;
  accounted_bytes_ = input_.bytes();
}

void RpcConnection::work() {
  const auto self = shared_from_this();  // an answer may close the connection
  for (unsigned lines = 0; fd_ && !pending_; lines++) {
    if (output_bytes_ > shared_->limits.output_bytes_max) return;  // flush() goes on
    const auto line = input_.next();
    if (!line) break;
    if (lines == lines_per_turn_max) {
      handle(*line);
      if (!fd_ || scheduled_) return;
      scheduled_ = true;  // let the others have their turn
      return shared_->loop.post([self] {
        self->scheduled_ = false;
        self->work();
      });
    }
    handle(*line);
  }
  if (fd_ && !pending_) finish_when_idle();
}

void RpcConnection::finish_when_idle() {
  input_.release();
  account_input();
  if (eof_ && subscription_ == 0) {
    if (output_.empty()) close();
    return;  // otherwise flush() comes back here
  }
  wait_readable();
}

void RpcConnection::handle(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return;
  if (line.size() > shared_->limits.line_bytes_max) {
    return refuse_line(rpc_parse_error, fmt::format("request is longer than {} bytes",
                                                    shared_->limits.line_bytes_max));
  }
  const auto request = parse_request(line);
  if (!request) {
    return queue(std::make_shared<const std::string>(
        answer_line(request.error().id, std::unexpected(request.error().error)) + "\n"));
  }
  dispatch(*request);
}

void RpcConnection::dispatch(const RpcRequest& request) {
  pending_ = true;
  if (request.method == "watch") {
    answered(request.id, request.notification, Json{{"watching", true}});
    return subscribe();
  }
  const std::weak_ptr<RpcConnection> weak = weak_from_this();
  const auto loop_turn = std::make_shared<bool>(true);  // still inside the handler
  shared_->handler(
      request, author_,
      [weak, loop_turn, id = request.id, silent = request.notification](const RpcResult& result) {
        const auto self = weak.lock();
        if (!self || !self->fd_ || !self->pending_) return;
        self->answered(id, silent, result);
        if (!*loop_turn) self->work();
      });
  *loop_turn = false;
}

void RpcConnection::answered(const Json& id, bool notification, const RpcResult& result) {
  pending_ = false;
  if (notification) return;
  queue(std::make_shared<const std::string>(answer_line(id, result) + "\n"));
}

void RpcConnection::subscribe() {
  if (!fd_ || subscription_ != 0) return;
  const std::weak_ptr<RpcConnection> weak = weak_from_this();
  subscription_ = shared_->events.subscribe([weak](const EventLine& line) {
    if (const auto self = weak.lock()) self->on_event(line);
  });
}

void RpcConnection::on_event(const EventLine& line) {
  if (output_bytes_ + line->size() > shared_->limits.output_bytes_max) {
    if (lost_events_++ == 0) tell_log("a client that watches reads too slowly and loses events");
    return;
  }
  queue(line);
}

void RpcConnection::refuse_line(int code, std::string message) {
  queue(std::make_shared<const std::string>(
      answer_line(nullptr, std::unexpected(RpcError{code, std::move(message), nullptr})) + "\n"));
}

void RpcConnection::queue(EventLine line) {
  if (!fd_) return;
  output_bytes_ += line->size();
  output_.push_back(std::move(line));
  if (writing_ == 0) flush();
}

void RpcConnection::flush() {
  while (fd_ && !output_.empty()) {
    const std::string_view left = std::string_view(*output_.front()).substr(output_sent_);
    const ssize_t sent = ::send(fd_.get(), left.data(), left.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      watch_stall();
      writing_ = shared_->loop.poll(fd_.get(), POLLOUT, [self = shared_from_this()](int result) {
        self->writing_ = 0;
        if (result < 0) return self->close();
        self->flush();
        if (self->fd_ && self->writing_ == 0 && !self->pending_) self->work();
      });
      return;
    }
    if (sent < 0) return close();
    progress_ += static_cast<uint64_t>(sent);
    output_bytes_ -= static_cast<size_t>(sent);
    output_sent_ += static_cast<size_t>(sent);
    if (output_sent_ == output_.front()->size()) {
      output_.pop_front();
      output_sent_ = 0;
      tell_lost();
    }
  }
}

void RpcConnection::tell_lost() {
  if (lost_events_ == 0 || output_bytes_ > shared_->limits.output_bytes_max / 2) return;
  EventLine line = event_line("lost", {{"count", std::exchange(lost_events_, 0)}});
  output_bytes_ += line->size();
  output_.push_back(std::move(line));
}

void RpcConnection::tell_log(std::string_view what) const {
  log_warn("control", what,
           {{"user", author_.user},
            {"pid", author_.pid},
            {"watches", subscription_ != 0},
            {"waiting_bytes", output_bytes_}});
}

void RpcConnection::watch_stall() {
  if (stalling_ != 0) return;
  stalling_ = shared_->loop.after(shared_->limits.stall_max,
                                  [self = shared_from_this(), then = progress_](int) {
                                    self->stalling_ = 0;
                                    if (self->output_.empty()) return;
                                    if (self->progress_ == then) {
                                      self->tell_log("a client that reads nothing is cut");
                                      return self->close();
                                    }
                                    self->watch_stall();
                                  });
}

}  // namespace sluice::ctrl

#include "ctrl/control/stop_signals.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace sluice::ctrl {
namespace {

std::atomic<EventLoop*> signalled_loop{nullptr};
std::atomic<int> hangup_fd{-1};

void on_stop_signal(int) {
  if (EventLoop* loop = signalled_loop.load()) loop->stop();
}

void on_hangup_signal(int) {
  const int saved_errno = errno;
  [[maybe_unused]] const auto ignored = ::eventfd_write(hangup_fd.load(), 1);
  errno = saved_errno;
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

StopSignals::~StopSignals() {
  if (loop_ == nullptr) return;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) handle(signal, SIG_IGN);
  signalled_loop = nullptr;
  hangup_fd = -1;
  loop_->cancel(waiting_);
}

Status StopSignals::attach(EventLoop& loop, std::function<void()> on_hangup) {
  hangup_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!hangup_) return fail(fmt::format("cannot open an eventfd: {}", std::strerror(errno)));
  loop_ = &loop;
  on_hangup_ = std::move(on_hangup);
  hangup_fd = hangup_.get();
  signalled_loop = &loop;
  handle(SIGHUP, on_hangup_signal);
  handle(SIGTERM, on_stop_signal);
  handle(SIGINT, on_stop_signal);
  wait_hangup();
  return {};
}

void StopSignals::wait_hangup() {
  waiting_ = loop_->poll(hangup_.get(), POLLIN, [this](int) {
    eventfd_t count = 0;
    if (::eventfd_read(hangup_.get(), &count) == 0) on_hangup_();
    wait_hangup();
  });
}

}  // namespace sluice::ctrl

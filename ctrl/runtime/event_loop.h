// EventLoop: ctrl's io_uring loop. Everything runs on the thread that calls run(), except post()
// and stop(), which any thread may call. Buffers given to an operation must live until its
// completion ran or the operation was cancelled *and* settled: keep them in an object that the
// completion holds by shared_ptr; a cancelled operation keeps its completion alive until the
// kernel has let go, but does not call it.
// Descriptors are blocking ones: with O_NONBLOCK the kernel answers -EAGAIN instead of waiting.
// Whatever holds a reference to the loop is destroyed before it. create() ignores SIGPIPE.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "dataplane/base/result.h"

namespace sluice::ctrl {

/// `result` is what the system call would return, or -errno.
using Completion = std::function<void(int result)>;
using OperationId = uint64_t;  // 0: none

class EventLoop {
 public:
  static Result<std::unique_ptr<EventLoop>> create();
  /// Cancels what is under way and waits until the kernel has let go of the buffers. By the
  /// thread of run(), or after that thread has ended.
  virtual ~EventLoop() = default;

  virtual OperationId read(int fd, std::span<std::byte> into, Completion done) = 0;
  /// May write less than asked. Several writes to one stream may overtake each other: one at a
  /// time.
  virtual OperationId write(int fd, std::span<const std::byte> from, Completion done) = 0;
  /// `result` is the connection's descriptor (close-on-exec, blocking).
  virtual OperationId accept(int fd, Completion done) = 0;
  virtual OperationId connect(int fd, const sockaddr_storage& to, socklen_t bytes,
                              Completion done) = 0;
  /// One-shot poll; `result` is the revents mask.
  virtual OperationId poll(int fd, short events, Completion done) = 0;
  /// `done` gets 0 once, not before `delay` has passed; equal times run in the order of the calls.
  virtual OperationId after(std::chrono::nanoseconds delay, Completion done) = 0;
  /// The completion will not be called. Unknown or finished ids are ignored.
  virtual void cancel(OperationId operation) = 0;

  /// Runs `task` on the loop thread. Any thread.
  virtual void post(std::function<void()> task) = 0;
  /// Called each time before the loop may sleep; returns true when there is work and it must not.
  virtual void set_poller(std::function<bool()> poller) = 0;

  /// Returns after stop(); a stop() before run() counts. May be called again, by the same thread.
  virtual void run() = 0;
  virtual void stop() = 0;  // any thread, signal-safe
};

}  // namespace sluice::ctrl

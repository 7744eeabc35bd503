#include "ctrl/runtime/event_loop.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "ctrl/runtime/log.h"
#include "ctrl/runtime/operation_table.h"
#include "ctrl/runtime/timer_queue.h"
#include "dataplane/base/assert.h"

namespace sluice::ctrl {

namespace {

constexpr unsigned submission_entries = 1024;
constexpr unsigned completion_entries = 4096;
constexpr unsigned completions_per_turn_max = 1024;
constexpr OperationId timer_bit = OperationId{1} << 63;
constexpr uint64_t no_answer_wanted = 0;
constexpr uint64_t settle_ns_max = 2'000'000'000;
constexpr uint64_t second_ns = 1'000'000'000;

uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * second_ns + static_cast<uint64_t>(now.tv_nsec);
}

__kernel_timespec to_timespec(uint64_t delay_ns) {
  return {.tv_sec = static_cast<int64_t>(delay_ns / second_ns),
          .tv_nsec = static_cast<long long>(delay_ns % second_ns)};
}

class UringLoop final : public EventLoop {
 public:
  UringLoop(const io_uring& ring, int wake_fd) : ring_(ring), wake_fd_(wake_fd) { arm_wake(); }
  UringLoop(const UringLoop&) = delete;
  UringLoop& operator=(const UringLoop&) = delete;
  ~UringLoop() override;

  OperationId read(int fd, std::span<std::byte> into, Completion done) override {
    return start({.kind = OperationKind::read,
                  .fd = fd,
                  .buffer = into.data(),
                  .bytes = static_cast<uint32_t>(into.size()),
                  .done = std::move(done)});
  }
  OperationId write(int fd, std::span<const std::byte> from, Completion done) override {
    return start({.kind = OperationKind::write,
                  .fd = fd,
                  .buffer = const_cast<std::byte*>(from.data()),
                  .bytes = static_cast<uint32_t>(from.size()),
                  .done = std::move(done)});
  }
  OperationId accept(int fd, Completion done) override {
    return start({.kind = OperationKind::accept, .fd = fd, .done = std::move(done)});
  }
  OperationId connect(int fd, const sockaddr_storage& to, socklen_t bytes,
                      Completion done) override {
    return start({.kind = OperationKind::connect,
                  .fd = fd,
                  .bytes = bytes,
                  .address = std::make_unique<sockaddr_storage>(to),
                  .done = std::move(done)});
  }
  OperationId poll(int fd, short events, Completion done) override {
    return start(
        {.kind = OperationKind::poll, .fd = fd, .events = events, .done = std::move(done)});
  }
  OperationId after(std::chrono::nanoseconds delay, Completion done) override;
  void cancel(OperationId id) override;

  void post(std::function<void()> task) override;
  void set_poller(std::function<bool()> poller) override { poller_ = std::move(poller); }
  void run() override;
  void stop() override;

 private:
  OperationId start(Operation operation);
  void arm_wake();
  void wake();
  io_uring_sqe* free_entry();
  bool submit_operation(OperationId id);
  bool submit_cancel(OperationId id);
  void drain_backlog();
  void turn();
  void run_posted();
  void run_timers();
  void wait(bool busy);
  void reap();
  bool settle(uint64_t deadline_ns);
  void finish(OperationId id, int result);

  /// What found no free submission entry, in order.
  struct Waiting {
    OperationId id;
    bool cancel;
  };

  io_uring ring_;
  bool enabled_ = false;
  int wake_fd_;
  uint64_t wake_value_ = 0;
  OperationTable operations_;
  TimerQueue timers_;
  std::vector<Waiting> backlog_;
  std::function<bool()> poller_;
  std::atomic<bool> stop_requested_{false};
  static_assert(std::atomic<bool>::is_always_lock_free);  // stop() runs in signal handlers

  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
};

UringLoop::~UringLoop() {
  const uint64_t deadline_ns = now_ns() + settle_ns_max;
  poller_ = nullptr;
  posted_.clear();
  timers_.clear();
  backlog_.clear();
  for (const OperationId id : operations_.ids()) {
    // Dropping one completion may cancel others: look again.
    if (Operation* operation = operations_.find(id); operation != nullptr) cancel(id);
  }
  const bool settled = settle(deadline_ns);
  ::io_uring_queue_exit(&ring_);
  ::close(wake_fd_);
  // The kernel still writes somewhere: better lost than reused.
  if (!settled) new OperationTable(std::move(operations_));
}

/// Waits until the kernel has let go of every operation; false when it did not in time.
bool UringLoop::settle(uint64_t deadline_ns) {
  // Before run() the kernel has got nothing.
  while (enabled_ && operations_.size() > 0) {
    if (now_ns() >= deadline_ns) return false;
    drain_backlog();
    __kernel_timespec timeout = to_timespec(10'000'000);
    io_uring_cqe* first = nullptr;
    const int result = ::io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
    // Another thread than that of run(), which has ended: all that it began ended with it.
    if (result == -EEXIST) return true;
    reap();
  }
  return true;
}

OperationId UringLoop::start(Operation operation) {
  const OperationId id = operations_.add(std::move(operation));
  if (!backlog_.empty() || !submit_operation(id)) backlog_.push_back({id, false});
  return id;
}

OperationId UringLoop::after(std::chrono::nanoseconds delay, Completion done) {
  const auto delay_ns = static_cast<uint64_t>(std::max<int64_t>(delay.count(), 0));
  return timers_.add(now_ns() + delay_ns, std::move(done)) | timer_bit;
}

void UringLoop::cancel(OperationId id) {
  if ((id & timer_bit) != 0) return timers_.cancel(id & ~timer_bit);
  Operation* operation = operations_.find(id);
  if (operation == nullptr || operation->cancelled) return;
  if (!operation->submitted) {
    const Operation dropped = operations_.take(id);
    return;
  }
  operation->cancelled = true;
  if (!backlog_.empty() || !submit_cancel(id)) backlog_.push_back({id, true});
}

io_uring_sqe* UringLoop::free_entry() {
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  if (entry != nullptr) return entry;
  ::io_uring_submit(&ring_);
  return ::io_uring_get_sqe(&ring_);
}

bool UringLoop::submit_operation(OperationId id) {
  io_uring_sqe* entry = free_entry();
  if (entry == nullptr) return false;
  Operation& operation = *operations_.find(id);
  constexpr auto current_position = static_cast<uint64_t>(-1);
  switch (operation.kind) {
    case OperationKind::read:
      ::io_uring_prep_read(entry, operation.fd, operation.buffer, operation.bytes,
                           current_position);
      break;
    case OperationKind::write:
      ::io_uring_prep_write(entry, operation.fd, operation.buffer, operation.bytes,
                            current_position);
      break;
    case OperationKind::accept:
      ::io_uring_prep_accept(entry, operation.fd, nullptr, nullptr, SOCK_CLOEXEC);
      break;
    case OperationKind::connect:
      ::io_uring_prep_connect(entry, operation.fd,
                              reinterpret_cast<const sockaddr*>(operation.address.get()),
                              operation.bytes);
      break;
    case OperationKind::poll:
      ::io_uring_prep_poll_add(entry, operation.fd, static_cast<unsigned>(operation.events));
      break;
  }
  ::io_uring_sqe_set_data64(entry, id);
  operation.submitted = true;
  return true;
}

bool UringLoop::submit_cancel(OperationId id) {
  io_uring_sqe* entry = free_entry();
  if (entry == nullptr) return false;
  ::io_uring_prep_cancel64(entry, id, 0);
  ::io_uring_sqe_set_data64(entry, no_answer_wanted);
  return true;
}

void UringLoop::drain_backlog() {
  size_t done = 0;
  while (done < backlog_.size()) {
    const Waiting next = backlog_[done];
    const bool ended = operations_.find(next.id) == nullptr;
    if (!ended && !(next.cancel ? submit_cancel(next.id) : submit_operation(next.id))) break;
    ++done;
  }
  backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(done));
}

void UringLoop::arm_wake() {
  const auto into = std::as_writable_bytes(std::span(&wake_value_, 1));
  read(wake_fd_, into, [this](int) { arm_wake(); });
}

void UringLoop::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);
}

void UringLoop::post(std::function<void()> task) {
  bool first = false;
  {
    const std::lock_guard lock(posted_mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(task));
  }
  if (first) wake();
}

void UringLoop::stop() {
  const int saved_errno = errno;  // a signal handler must not change it
  stop_requested_.store(true);
  wake();
  errno = saved_errno;
}

void UringLoop::run() {
  if (!enabled_) {
    // liburing 2.3 does not export its own function for this.
    const long result =
        ::syscall(SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    SLUICE_ASSERT(result == 0);
    enabled_ = true;
  }
  while (!stop_requested_.exchange(false)) turn();
}

void UringLoop::turn() {
  run_posted();
  run_timers();
  const bool busy = poller_ && poller_();
  drain_backlog();
  wait(busy || !backlog_.empty());
  reap();
}

void UringLoop::run_posted() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(posted_mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
}

void UringLoop::run_timers() {
  // One reading of the clock: timers that these start wait for the next turn, so that a delay of
  // 0 does not starve I/O.
  const uint64_t now = now_ns();
  Completion due;
  while (timers_.pop_due(now, due)) due(0);
}

void UringLoop::wait(bool busy) {
  int result = 0;
  if (busy || stop_requested_.load()) {
    result = ::io_uring_submit_and_get_events(&ring_);
  } else if (const uint64_t next = timers_.next_ns(); next == TimerQueue::never) {
    result = ::io_uring_submit_and_wait(&ring_, 1);
  } else {
    const uint64_t now = now_ns();
    __kernel_timespec timeout = to_timespec(next > now ? next - now : 0);
    io_uring_cqe* first = nullptr;
    result = ::io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
  }
  const bool usual =
      result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY;
  if (!usual) log_error("loop", "io_uring refused", {{"error", std::strerror(-result)}});
}

void UringLoop::reap() {
  std::array<io_uring_cqe*, 64> batch{};
  unsigned reaped = 0;
  while (reaped < completions_per_turn_max) {
    const unsigned count = ::io_uring_peek_batch_cqe(&ring_, batch.data(), batch.size());
    if (count == 0) return;
    std::array<std::pair<OperationId, int>, 64> answers;
    for (unsigned i = 0; i < count; ++i) answers[i] = {batch[i]->user_data, batch[i]->res};
    ::io_uring_cq_advance(&ring_, count);
    for (unsigned i = 0; i < count; ++i) {
      if (answers[i].first != no_answer_wanted) finish(answers[i].first, answers[i].second);
    }
    reaped += count;
  }
}

void UringLoop::finish(OperationId id, int result) {
  const Operation* known = operations_.find(id);
  if (known == nullptr) return;
  const Operation operation = operations_.take(id);
  if (!operation.cancelled) return operation.done(result);
  // A connection that nobody waits for any more.
  if (operation.kind == OperationKind::accept && result >= 0) ::close(result);
}

Error ring_error(int error) {
  const char* hint = "";
  if (error == ENOMEM) hint = "; raise the locked memory limit (ulimit -l)";
  if (error == EPERM) hint = "; allow it with sysctl kernel.io_uring_disabled=0";
  if (error == ENOSYS || error == EINVAL) hint = "; Linux 6.1 or newer is needed";
  return {fmt::format("cannot set up io_uring: {}{}", std::strerror(error), hint)};
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  io_uring ring{};
  io_uring_params parameters{};
  // DEFER_TASKRUN: completions wait until we ask for them. Otherwise they would interrupt other
  // system calls of this thread with EINTR. It wants one thread only, the one that enables the
  // ring: R_DISABLED leaves that to run().
  // TASKRUN_FLAG: since Linux 6.12 one call completes 20 of them, and reap() must see that more
  // wait, or thousands of answers take hundreds of turns.
  parameters.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_R_DISABLED |
                     IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_TASKRUN_FLAG;
  parameters.cq_entries = completion_entries;
  const int result = ::io_uring_queue_init_params(submission_entries, &ring, &parameters);
  if (result < 0) return std::unexpected(ring_error(-result));
  const int wake_fd = ::eventfd(0, EFD_CLOEXEC);
  if (wake_fd < 0) {
    const int error = errno;
    ::io_uring_queue_exit(&ring);
    return fail(fmt::format("cannot make an eventfd: {}", std::strerror(error)));
  }
  ::signal(SIGPIPE, SIG_IGN);
  return std::make_unique<UringLoop>(ring, wake_fd);
}

}  // namespace sluice::ctrl

#include "ctrl/runtime/event_loop.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/ctrl/runtime/run_until.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;
using test::run_for;
using test::run_until;

class EventLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop) << loop.error().message;
    loop_ = std::move(*loop);
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair_), 0);
  }
  void TearDown() override {
    loop_.reset();
    for (const int fd : pair_) {
      if (fd >= 0) ::close(fd);
    }
  }

  std::unique_ptr<EventLoop> loop_;
  int pair_[2] = {-1, -1};
};

struct Listener {
  int fd = -1;
  sockaddr_storage address{};
  socklen_t bytes = sizeof(sockaddr_in);

  Listener() {
    sockaddr_in wanted{};
    wanted.sin_family = AF_INET;
    wanted.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::bind(fd, reinterpret_cast<sockaddr*>(&wanted), sizeof wanted);
    ::listen(fd, 16);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes);
  }
  ~Listener() {
    if (fd >= 0) ::close(fd);
  }
};

std::vector<std::byte> to_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

TEST_F(EventLoopTest, TimersRunInOrderAndNotEarly) {
  std::vector<int> order;
  const auto start = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration first{};
  loop_->after(30ms, [&](int) { order.push_back(30); });
  loop_->after(10ms, [&](int result) {
    first = std::chrono::steady_clock::now() - start;
    EXPECT_EQ(result, 0);
    order.push_back(10);
  });
  loop_->after(20ms, [&](int) { order.push_back(20); });
  loop_->after(0ms, [&](int) { order.push_back(0); });
  loop_->after(-5ms, [&](int) { order.push_back(-5); });
  ASSERT_TRUE(run_until(*loop_, [&] { return order.size() == 5; }));
  EXPECT_EQ(order[0] + order[1], -5) << "both were due at once";
  EXPECT_EQ((std::vector(order.begin() + 2, order.end())), (std::vector{10, 20, 30}));
  EXPECT_GE(first, 10ms);
}

TEST_F(EventLoopTest, CancelledTimerDoesNotRun) {
  bool ran = false;
  const OperationId timer = loop_->after(5ms, [&](int) { ran = true; });
  loop_->cancel(timer);
  loop_->cancel(timer);
  run_for(*loop_, 30ms);
  EXPECT_FALSE(ran);
}

TEST_F(EventLoopTest, TimerChainOfZeroDelaysLetsInputThrough) {
  bool stop = false;
  std::function<void(int)> again = [&](int) {
    if (!stop) loop_->after(0ms, again);
  };
  again(0);
  std::byte buffer[8];
  int result = 0;
  loop_->read(pair_[0], buffer, [&](int r) { result = r; });
  ASSERT_EQ(::write(pair_[1], "x", 1), 1);
  EXPECT_TRUE(run_until(*loop_, [&] { return result == 1; }));
  stop = true;
  run_for(*loop_, 5ms);
}

TEST_F(EventLoopTest, ReadsAndWrites) {
  std::vector<std::byte> into(64);
  int read_result = 0;
  int write_result = 0;
  loop_->read(pair_[0], into, [&](int result) { read_result = result; });
  const auto from = to_bytes("hello");
  loop_->write(pair_[1], from, [&](int result) { write_result = result; });
  ASSERT_TRUE(run_until(*loop_, [&] { return read_result != 0 && write_result != 0; }));
  EXPECT_EQ(write_result, 5);
  ASSERT_EQ(read_result, 5);
  EXPECT_TRUE(std::equal(from.begin(), from.end(), into.begin()));

  read_result = -1;
  loop_->read(pair_[0], into, [&](int result) { read_result = result; });
  ::close(std::exchange(pair_[1], -1));
  ASSERT_TRUE(run_until(*loop_, [&] { return read_result != -1; }));
  EXPECT_EQ(read_result, 0) << "end of stream";
}

TEST_F(EventLoopTest, WriteToAClosedPeerIsAnErrorNotASignal) {
  ::close(std::exchange(pair_[1], -1));
  int result = 0;
  const auto from = to_bytes("hello");
  loop_->write(pair_[0], from, [&](int r) { result = r; });
  ASSERT_TRUE(run_until(*loop_, [&] { return result != 0; }));
  EXPECT_EQ(result, -EPIPE);
}

TEST_F(EventLoopTest, AcceptsAndConnects) {
  Listener listener;
  int accepted = -1;
  int connected = -1;
  loop_->accept(listener.fd, [&](int result) { accepted = result; });
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  loop_->connect(client, listener.address, listener.bytes, [&](int result) { connected = result; });
  ASSERT_TRUE(run_until(*loop_, [&] { return accepted >= 0 && connected == 0; }));
  ASSERT_EQ(::write(client, "abc", 3), 3);
  std::byte buffer[8];
  int result = 0;
  loop_->read(accepted, buffer, [&](int r) { result = r; });
  EXPECT_TRUE(run_until(*loop_, [&] { return result == 3; }));
  ::close(client);
  ::close(accepted);
}

TEST_F(EventLoopTest, ConnectToNobodyIsRefused) {
  sockaddr_storage nobody{};
  socklen_t bytes = 0;
  {
    const Listener listener;
    nobody = listener.address;
    bytes = listener.bytes;
  }
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result = 0;
  loop_->connect(client, nobody, bytes, [&](int r) { result = r; });
  ASSERT_TRUE(run_until(*loop_, [&] { return result != 0; }));
  EXPECT_EQ(result, -ECONNREFUSED);
  ::close(client);
}

TEST_F(EventLoopTest, PollTellsWhatHappened) {
  int readable = 0;
  int writable = 0;
  loop_->poll(pair_[0], POLLIN, [&](int result) { readable = result; });
  loop_->poll(pair_[0], POLLOUT, [&](int result) { writable = result; });
  ASSERT_TRUE(run_until(*loop_, [&] { return writable != 0; }));
  EXPECT_EQ(writable & POLLOUT, POLLOUT);
  EXPECT_EQ(readable, 0);
  ASSERT_EQ(::write(pair_[1], "x", 1), 1);
  ASSERT_TRUE(run_until(*loop_, [&] { return readable != 0; }));
  EXPECT_EQ(readable & POLLIN, POLLIN);
}

TEST_F(EventLoopTest, CancelledReadKeepsItsBufferUntilTheKernelLetsGo) {
  auto buffer = std::make_shared<std::vector<std::byte>>(64);
  bool ran = false;
  const OperationId id = loop_->read(pair_[0], *buffer, [&, buffer](int) { ran = true; });
  run_for(*loop_, 5ms);
  loop_->cancel(id);
  EXPECT_EQ(buffer.use_count(), 2) << "the kernel may still write there";
  ASSERT_TRUE(run_until(*loop_, [&] { return buffer.use_count() == 1; }));
  EXPECT_FALSE(ran);
  // What arrives later belongs to the next reader.
  ASSERT_EQ(::write(pair_[1], "x", 1), 1);
  int result = 0;
  loop_->read(pair_[0], *buffer, [&](int r) { result = r; });
  EXPECT_TRUE(run_until(*loop_, [&] { return result == 1; }));
}

TEST_F(EventLoopTest, CancelAfterTheAnswerArrivedButBeforeItWasDelivered) {
  // Both reads are answered in one turn; the first completion cancels the second.
  int other[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other), 0);
  std::byte a[8];
  std::byte b[8];
  int calls = 0;
  OperationId first = 0;
  OperationId second = 0;
  first = loop_->read(pair_[0], a, [&](int) {
    ++calls;
    loop_->cancel(second);
  });
  second = loop_->read(other[0], b, [&](int) {
    ++calls;
    loop_->cancel(first);
  });
  ASSERT_EQ(::write(pair_[1], "x", 1), 1);
  ASSERT_EQ(::write(other[1], "x", 1), 1);
  run_for(*loop_, 20ms);
  EXPECT_EQ(calls, 1);
  ::close(other[0]);
  ::close(other[1]);
}

TEST_F(EventLoopTest, CancelledAcceptLeaksNoConnection) {
  Listener listener;
  // Both are answered in one turn; the read comes first and cancels the accept, which has taken
  // its connection already.
  OperationId accepting = 0;
  std::byte buffer[8];
  bool cancelled = false;
  loop_->read(pair_[0], buffer, [&](int) {
    loop_->cancel(accepting);
    cancelled = true;
  });
  accepting = loop_->accept(listener.fd, [](int) { FAIL(); });
  run_for(*loop_, 5ms);
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::write(pair_[1], "x", 1), 1);
  ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&listener.address), listener.bytes), 0);
  run_for(*loop_, 20ms);
  EXPECT_TRUE(cancelled);
  ::close(std::exchange(listener.fd, -1));
  pollfd hung{.fd = client, .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&hung, 1, 2'000), 1) << "somebody still holds the other end";
  char byte = 0;
  EXPECT_LE(::read(client, &byte, 1), 0);
  ::close(client);
}

TEST_F(EventLoopTest, MoreOperationsThanTheRingHoldsAllEnd) {
  constexpr int count = 20'000;
  const int event = ::eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
  std::vector<uint64_t> values(count);
  int done = 0;
  int wrong = 0;
  for (int i = 0; i < count; ++i) {
    loop_->read(event, std::as_writable_bytes(std::span(&values[i], 1)), [&](int result) {
      ++done;
      wrong += result != 8;
    });
  }
  const uint64_t tokens = count;
  ASSERT_EQ(::write(event, &tokens, sizeof tokens), 8);
  EXPECT_TRUE(run_until(*loop_, [&] { return done == count; }, 60s)) << done;
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(std::ranges::all_of(values, [](uint64_t value) { return value == 1; }));
  ::close(event);
}

TEST_F(EventLoopTest, AWriteThatDoesNotFitWaitsForTheReader) {
  const std::vector<std::byte> megabytes(4 << 20, std::byte{7});
  std::span<const std::byte> left(megabytes);
  std::function<void(int)> go_on = [&](int result) {
    ASSERT_GT(result, 0);
    left = left.subspan(static_cast<size_t>(result));
    if (!left.empty()) loop_->write(pair_[0], left, go_on);
  };
  loop_->write(pair_[0], left, go_on);
  run_for(*loop_, 20ms);
  EXPECT_FALSE(left.empty()) << "nobody has read yet";
  size_t received = 0;
  std::thread reader([&] {
    std::vector<std::byte> buffer(100'000);
    while (received < megabytes.size()) {
      const ssize_t bytes = ::read(pair_[1], buffer.data(), buffer.size());
      if (bytes <= 0) return;
      received += static_cast<size_t>(bytes);
    }
  });
  EXPECT_TRUE(run_until(*loop_, [&] { return left.empty(); }));
  reader.join();
  EXPECT_EQ(received, megabytes.size());
}

TEST_F(EventLoopTest, PostFromManyThreadsRunsEachTaskOnceOnTheLoop) {
  constexpr int threads = 4;
  constexpr int each = 5'000;
  std::atomic<bool> off_thread{false};
  int ran = 0;
  std::vector<int> last(threads, -1);
  bool ordered = true;
  const auto loop_thread = std::this_thread::get_id();
  std::vector<std::thread> posters;
  for (int t = 0; t < threads; ++t) {
    posters.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        loop_->post([&, t, i] {
          ++ran;
          ordered &= last[t] == i - 1;
          last[t] = i;
          if (std::this_thread::get_id() != loop_thread) off_thread = true;
        });
      }
    });
  }
  EXPECT_TRUE(run_until(*loop_, [&] { return ran == threads * each; }));
  for (auto& poster : posters) poster.join();
  EXPECT_TRUE(ordered);
  EXPECT_FALSE(off_thread);
}

TEST_F(EventLoopTest, PostWakesASleepingLoop) {
  std::thread poster([&] {
    std::this_thread::sleep_for(30ms);
    loop_->post([&] { loop_->stop(); });
  });
  loop_->run();  // nothing else would ever end it
  poster.join();
}

TEST_F(EventLoopTest, PollerThatHasWorkKeepsTheLoopAwake) {
  int turns = 0;
  std::byte buffer[8];
  int result = 0;
  loop_->read(pair_[0], buffer, [&](int r) { result = r; });
  loop_->set_poller([&] {
    if (++turns == 1000) {
      EXPECT_EQ(::write(pair_[1], "x", 1), 1);
    }
    if (result == 1) loop_->stop();
    return true;
  });
  loop_->run();
  loop_->set_poller(nullptr);
  EXPECT_GE(turns, 1000);
}

EventLoop* signalled_loop = nullptr;

TEST_F(EventLoopTest, StopFromASignalHandler) {
  signalled_loop = loop_.get();
  const auto before = std::signal(SIGUSR1, [](int) { signalled_loop->stop(); });
  const pthread_t self = ::pthread_self();
  std::thread killer([&] {
    std::this_thread::sleep_for(30ms);
    ::pthread_kill(self, SIGUSR1);
  });
  loop_->run();
  killer.join();
  std::signal(SIGUSR1, before);
}

TEST_F(EventLoopTest, StopBeforeRunCounts) {
  loop_->stop();
  loop_->run();
  bool ran = false;
  loop_->post([&] {
    ran = true;
    loop_->stop();
  });
  loop_->run();
  EXPECT_TRUE(ran);
}

TEST_F(EventLoopTest, DestructionLetsGoOfEverythingWithoutCallingIt) {
  auto buffer = std::make_shared<std::vector<std::byte>>(64);
  loop_->read(pair_[0], *buffer, [buffer](int) { FAIL(); });
  loop_->after(1h, [buffer](int) { FAIL(); });
  loop_->post([buffer] { FAIL(); });
  EXPECT_EQ(buffer.use_count(), 4);
  loop_.reset();
  EXPECT_EQ(buffer.use_count(), 1);
}

TEST_F(EventLoopTest, CreatedHereRunThereDestroyedHere) {
  auto buffer = std::make_shared<std::vector<std::byte>>(64);
  loop_->read(pair_[0], *buffer, [buffer](int) { FAIL(); });
  int turns = 0;
  std::thread runner([&] {
    loop_->after(5ms, [&](int) {
      ++turns;
      loop_->stop();
    });
    loop_->run();
  });
  runner.join();
  EXPECT_EQ(turns, 1);
  loop_.reset();
  EXPECT_EQ(buffer.use_count(), 1);
}

// Completions that arrive while the thread is in another system call must not disturb it.
// A thread of its own: the end of an earlier test's ring disturbs the main one.
TEST(EventLoop, ArrivalsDoNotInterruptOtherSystemCalls) {
  int watched[2];
  int other[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, watched), 0);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other), 0);
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(other[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::thread looper([&] {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    std::vector<std::byte> buffer(64);
    int result = 0;
    (*loop)->read(watched[0], buffer, [&](int r) { result = r; });
    run_for(**loop, 5ms);
    std::thread writer([&] {
      std::this_thread::sleep_for(20ms);
      EXPECT_EQ(::write(watched[1], "x", 1), 1);
      (*loop)->post([] {});
      std::this_thread::sleep_for(20ms);
      EXPECT_EQ(::write(other[1], "y", 1), 1);
    });
    char byte = 0;
    EXPECT_EQ(::recv(other[0], &byte, 1, 0), 1) << std::strerror(errno);
    writer.join();
    EXPECT_TRUE(run_until(**loop, [&] { return result == 1; }));
  });
  looper.join();
  for (const int fd : {watched[0], watched[1], other[0], other[1]}) ::close(fd);
}

TEST_F(EventLoopTest, ACompletionMayOwnWhatCancelsOthersWhenItGoes) {
  struct Owner {
    EventLoop& loop;
    std::vector<OperationId> operations;
    ~Owner() {
      for (const OperationId id : operations) loop.cancel(id);
    }
  };
  auto owner = std::make_shared<Owner>(*loop_, std::vector<OperationId>{});
  std::byte buffer[8];
  owner->operations.push_back(loop_->after(1h, [](int) { FAIL(); }));
  owner->operations.push_back(loop_->read(pair_[0], buffer, [](int) { FAIL(); }));
  loop_->after(1h, [owner](int) { FAIL(); });
  owner.reset();
  loop_.reset();
}

}  // namespace
}  // namespace sluice::ctrl

// The two hand-shakes between threads that hold no lock: Sleeper and AckSlot, under real threads.
#include "dataplane/wake.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "dataplane/ack_slot.h"

namespace sluice::dataplane {
namespace {

TEST(Sleeper, NoWakeUpIsLost) {
  Sleeper sleeper;
  ASSERT_TRUE(sleeper.open().has_value());
  constexpr unsigned rounds = 100'000;
  std::atomic<unsigned> posted{0}, seen{0};
  std::thread producer([&] {
    for (unsigned round = 1; round <= rounds; ++round) {
      posted.store(round, std::memory_order_relaxed);
      sleeper.wake();
      while (seen.load(std::memory_order_acquire) < round) std::this_thread::yield();
    }
  });
  unsigned slept = 0;
  while (seen.load(std::memory_order_relaxed) < rounds) {
    sleeper.announce();
    if (posted.load(std::memory_order_relaxed) == seen.load(std::memory_order_relaxed)) {
      pollfd wait{sleeper.fd(), POLLIN, 0};
      // A lost wake-up would sit here for ten seconds.
      ASSERT_EQ(poll(&wait, 1, 10'000), 1) << "after " << seen.load();
      ++slept;
    }
    sleeper.cancel();
    seen.store(posted.load(std::memory_order_relaxed), std::memory_order_release);
  }
  producer.join();
  EXPECT_GT(slept, 0u);
}

TEST(Sleeper, WakingTheAwakeCostsNoEvent) {
  Sleeper sleeper;
  ASSERT_TRUE(sleeper.open().has_value());
  sleeper.wake();
  pollfd wait{sleeper.fd(), POLLIN, 0};
  EXPECT_EQ(poll(&wait, 1, 0), 0);
  sleeper.announce();
  sleeper.wake();
  sleeper.wake();
  EXPECT_EQ(poll(&wait, 1, 0), 1);
  sleeper.cancel();
  EXPECT_EQ(poll(&wait, 1, 0), 0);
}

TEST(AckSlot, ReadersSeeWholeAcknowledgements) {
  AckSlot slot;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (uint64_t revision = 1; !stop.load(std::memory_order_relaxed); ++revision) {
      slot.store({revision, revision * 3, revision * 7});
    }
  });
  uint64_t last = 0;
  for (unsigned i = 0; i < 2'000'000; ++i) {
    const Acknowledgement ack = slot.load();
    ASSERT_EQ(ack.generation, ack.revision * 3);
    ASSERT_EQ(ack.at_ns, ack.revision * 7);
    ASSERT_GE(ack.revision, last);
    last = ack.revision;
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace sluice::dataplane

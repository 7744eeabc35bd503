// AckSlot: one worker's Acknowledgement, written by it and read by anybody. Two copies, of which
// one is published: neither side ever waits for the other, even when the worker is held while it
// writes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/engine.h"

namespace sluice::dataplane {

class alignas(64) AckSlot {
 public:
  /// The worker only.
  void store(const Acknowledgement& ack) {
    const uint64_t next = published_.load(std::memory_order_relaxed) + 1;
    // A reader that sees any of the stores below also sees that `published_` left this copy.
    std::atomic_thread_fence(std::memory_order_release);
    Copy& copy = copies_[next & 1];
    copy.revision.store(ack.revision, std::memory_order_relaxed);
    copy.generation.store(ack.generation, std::memory_order_relaxed);
    copy.at_ns.store(ack.at_ns, std::memory_order_relaxed);
    published_.store(next, std::memory_order_release);
  }

  /// Any thread. Repeats only when the worker stored meanwhile.
  Acknowledgement load() const {
    while (true) {
      const uint64_t before = published_.load(std::memory_order_acquire);
      const Copy& copy = copies_[before & 1];
      const Acknowledgement ack{copy.revision.load(std::memory_order_relaxed),
                                copy.generation.load(std::memory_order_relaxed),
                                copy.at_ns.load(std::memory_order_relaxed)};
      std::atomic_thread_fence(std::memory_order_acquire);
      if (published_.load(std::memory_order_relaxed) == before) {
        return ack;
      }
    }
  }

 private:
  struct Copy {
    std::atomic<uint64_t> revision{0}, generation{0}, at_ns{0};
  };
  std::atomic<uint64_t> published_{0};
  std::array<Copy, 2> copies_;
};

}  // namespace sluice::dataplane

// TimerWheel: tens of thousands of deadlines, added, removed and found in constant time: a hashed
// wheel (Varghese and Lauck, SOSP 1987, scheme 6) of 4,096 slots of about a millisecond. Timers are
// parts of what they belong to; nothing is allocated. A timer is due in its tick, never before
// its deadline. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace sluice::ctrl {

class TimerWheel {
 public:
  static constexpr uint64_t never = std::numeric_limits<uint64_t>::max();
  static constexpr unsigned tick_shift = 20;  // ticks of 2^20 ns
  static constexpr size_t slots = 4096;

  /// Belongs to one wheel at a time; removes itself when it is destroyed.
  class Timer {
   public:
    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    bool is_set() const { return next_ != this; }
    uint64_t deadline_ns() const { return deadline_ns_; }

   protected:
    ~Timer() { unlink(); }

   private:
    friend class TimerWheel;
    void unlink() {
      previous_->next_ = next_;
      next_->previous_ = previous_;
      previous_ = next_ = this;
    }
    virtual void due(uint64_t now_ns) = 0;

    Timer* previous_ = this;
    Timer* next_ = this;
    uint64_t deadline_ns_ = 0;
    uint64_t tick_ = 0;
  };

  explicit TimerWheel(uint64_t now_ns) : tick_(now_ns >> tick_shift) {}
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// Sets `timer`, also when it was set before. A deadline that has passed is due in the next tick.
  void set(Timer& timer, uint64_t deadline_ns);
  static void clear(Timer& timer) { timer.unlink(); }
  /// Calls due() of every timer whose tick has ended by `now_ns`. They may set and clear timers.
  void advance(uint64_t now_ns);
  /// When advance() may find something next: not after the first deadline, at most one turn of the
  /// wheel early. `never` when no timer is set in it.
  uint64_t next_ns() const;

 private:
  class Head final : public Timer {
    void due(uint64_t) override {}
  };
  static void take_all(Head& from, Head& into);

  std::array<Head, slots> heads_;
  uint64_t tick_;  // the first that advance() has not handled
};

}  // namespace sluice::ctrl

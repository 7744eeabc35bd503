#include "ctrl/health/timer_wheel.h"

#include <algorithm>

namespace sluice::ctrl {

void TimerWheel::set(Timer& timer, uint64_t deadline_ns) {
  timer.unlink();
  timer.deadline_ns_ = deadline_ns;
  // Rounded up: the tick begins no earlier than the deadline.
  const uint64_t tick = (deadline_ns + (uint64_t{1} << tick_shift) - 1) >> tick_shift;
  timer.tick_ = std::max(tick, tick_);
  Timer& head = heads_[timer.tick_ % slots];
  timer.previous_ = head.previous_;
  timer.next_ = &head;
  head.previous_->next_ = &timer;
  head.previous_ = &timer;
}

void TimerWheel::advance(uint64_t now_ns) {
  const uint64_t end = (now_ns >> tick_shift) + 1;
  if (end <= tick_) return;
  // After a long pause each slot is looked at once.
  const uint64_t first = end - tick_ > slots ? end - slots : tick_;
  tick_ = end;  // what is set meanwhile falls into later slots, or is found by the next call
  for (uint64_t tick = first; tick < end; ++tick) {
    // Taken aside first: due() may set timers into this very slot, and clear those found here.
    Head found;
    take_all(heads_[tick % slots], found);
    while (found.is_set()) {
      Timer& timer = *found.next_;
      timer.unlink();
      if (timer.tick_ < end) {
        timer.due(now_ns);
      } else {
        set(timer, timer.deadline_ns_);  // of a later turn
      }
    }
  }
}

void TimerWheel::take_all(Head& from, Head& into) {
  if (!from.is_set()) return;
  into.next_ = from.next_;
  into.previous_ = from.previous_;
  into.next_->previous_ = into.previous_->next_ = &into;
  from.next_ = from.previous_ = &from;
}

uint64_t TimerWheel::next_ns() const {
  for (uint64_t tick = tick_; tick < tick_ + slots; ++tick) {
    if (heads_[tick % slots].is_set()) return tick << tick_shift;
  }
  return never;
}

}  // namespace sluice::ctrl

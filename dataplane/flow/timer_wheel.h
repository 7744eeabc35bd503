// TimerWheel: idle timers of records, one queue per tick, linked through the records themselves
// (wheel_next, wheel_previous, expiry_tick). Lazily re-armed: a packet only writes last_seen_tick;
// when a record's slot fires, its true expiry is computed and the record goes to a later slot or
// expires. Timers beyond the horizon wait in the farthest slot and are looked at once per turn.
// Ticks are 32-bit and wrap; no timer may lie further ahead than 2^30. One worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "dataplane/base/assert.h"
#include "dataplane/flow/flow_record.h"
#include "dataplane/flow/slot_bitmap.h"

namespace sluice::flow {

/// Ticks from `from` to `to`, negative when `to` is earlier. Right across the wrap.
inline int32_t ticks_between(uint32_t from, uint32_t to) { return static_cast<int32_t>(to - from); }

template <typename Record>
class TimerWheel {
 public:
  /// Bytes for a wheel of `slots` ticks (a power of two, at least 64).
  static size_t memory_bytes(uint32_t slots) {
    return size_t{slots} * sizeof(uint32_t) + SlotBitmap::words(slots) * sizeof(uint64_t);
  }

  /// `memory` (8-byte aligned) and `records` outlive the wheel.
  TimerWheel(std::span<std::byte> memory, uint32_t slots, Record* records, uint32_t now_tick)
      : heads_(reinterpret_cast<uint32_t*>(memory.data())),
        records_(records),
        mask_(slots - 1),
        cursor_(now_tick) {
    SLUICE_ASSERT(slots >= 64 && (slots & (slots - 1)) == 0);
    SLUICE_ASSERT(memory.size() >= memory_bytes(slots));
    std::memset(heads_, 0xff, size_t{slots} * sizeof(uint32_t));
    auto* words = reinterpret_cast<uint64_t*>(memory.data() + size_t{slots} * sizeof(uint32_t));
    std::memset(words, 0, SlotBitmap::words(slots) * sizeof(uint64_t));
    occupied_ = SlotBitmap(words, slots);
  }

  /// `index` must be in no wheel. An expiry in the past fires at the next advance.
  void insert(uint32_t index, uint32_t expiry_tick) {
    Record& record = records_[index];
    record.expiry_tick = placement(expiry_tick);
    uint32_t& head = heads_[record.expiry_tick & mask_];
    record.wheel_next = no_flow;
    record.wheel_previous = index;
    if (head == no_flow) {
      head = index;
      occupied_.set(record.expiry_tick & mask_);
    } else {
      // The head's previous is the last of the queue.
      record.wheel_previous = std::exchange(records_[head].wheel_previous, index);
      records_[record.wheel_previous].wheel_next = index;
    }
    ++size_;
  }

  void remove(uint32_t index) {
    const Record& record = records_[index];
    const uint32_t slot = record.expiry_tick & mask_;
    uint32_t& head = heads_[slot];
    if (head == index) {
      head = record.wheel_next;
      if (head == no_flow) occupied_.clear(slot);
    } else {
      records_[record.wheel_previous].wheel_next = record.wheel_next;
    }
    // Whoever comes next, or else the head, which knows the last one.
    const uint32_t after = record.wheel_next != no_flow ? record.wheel_next : head;
    if (after != no_flow) records_[after].wheel_previous = record.wheel_previous;
    --size_;
  }

  void move(uint32_t index, uint32_t expiry_tick) {
    remove(index);
    insert(index, expiry_tick);
  }

  /// The tick at whose slot a timer for `expiry_tick` would wait now.
  uint32_t placement(uint32_t expiry_tick) const {
    const int32_t ahead = ticks_between(cursor_, expiry_tick);
    if (ahead < 0) return cursor_;
    return static_cast<uint32_t>(ahead) > mask_ ? cursor_ + mask_ : expiry_tick;
  }

  /// Fires the slots up to and including `now_tick`, oldest first, looking at no more than
  /// `budget` records; what is left over fires in the next call. For each record:
  /// `expiry_of(record)` gives its true expiry; not after `now_tick`, and `expired(index)` is
  /// called, the record being in no wheel any more. Returns how many records it looked at.
  /// After a jump of the clock of more than a whole turn, every record is looked at once.
  template <typename ExpiryOf, typename Expired>
  uint32_t advance(uint32_t now_tick, uint32_t budget, const ExpiryOf& expiry_of,
                   const Expired& expired) {
    if (ticks_between(cursor_, now_tick) < 0) return 0;
    if (now_tick - cursor_ > mask_) cursor_ = now_tick - mask_;
    uint32_t visited = 0;
    while (ticks_between(cursor_, now_tick) >= 0) {
      const uint32_t slot = occupied_.next(cursor_ & mask_);
      const uint32_t distance = (slot - cursor_) & mask_;
      if (slot == SlotBitmap::none || distance > now_tick - cursor_) {
        cursor_ = now_tick + 1;
        break;
      }
      cursor_ += distance;
      while (heads_[slot] != no_flow) {
        if (visited == budget) return visited;
        ++visited;
        fire(heads_[slot], now_tick, expiry_of, expired);
      }
      ++cursor_;
    }
    return visited;
  }

  /// Of the slot that fires next, the record that has waited there longest; no_flow when the wheel
  /// is empty.
  uint32_t nearest() const {
    const uint32_t slot = occupied_.next(cursor_ & mask_);
    return slot == SlotBitmap::none ? no_flow : heads_[slot];
  }

  uint32_t size() const { return size_; }

 private:
  template <typename ExpiryOf, typename Expired>
  void fire(uint32_t index, uint32_t now_tick, const ExpiryOf& expiry_of, const Expired& expired) {
    const uint32_t next = records_[index].wheel_next;
    if (next != no_flow) __builtin_prefetch(&records_[next]);
    const uint32_t expiry_tick = expiry_of(records_[index]);
    remove(index);
    if (ticks_between(now_tick, expiry_tick) > 0) {
      // Never into the slot being fired: it lies 1 to mask_ slots ahead of the cursor.
      insert(index, expiry_tick);
    } else {
      expired(index);
    }
  }

  uint32_t* heads_;
  SlotBitmap occupied_;
  Record* records_;
  uint32_t mask_;
  uint32_t cursor_;  // the oldest tick whose slot has not wholly fired
  uint32_t size_ = 0;
};

}  // namespace sluice::flow

// Connections: one worker's connections of one family, from open to removal: FlowTable for the
// lookup, timer wheels for expiry and for the order of eviction, and
// the state machine of tcp_state.h. Fixed size, allocates nothing; one worker.
//
// Counting: a connection is active from open() until Lifecycle::ended (touch, close, reset), or
// until it is removed while is_active(record): whoever counts adds one to `ended` then. After
// `ended`, touch() may report `revived`: that takes one from `ended`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/flow/flow_table.h"
#include "dataplane/flow/tcp_state.h"
#include "dataplane/flow/timer_wheel.h"
#include "dataplane/model/snapshot.h"

namespace sluice::flow {

template <typename Tuple>
class Connections {
 public:
  using Record = FlowRecord<Tuple>;

  /// Bytes for `flows_max` connections: 84 (IPv4) or 148 (IPv6) each, and 0.7 MB of wheels.
  static size_t memory_bytes(uint32_t flows_max);

  /// `memory` (64-byte aligned) outlives this; `key` is drawn at random at start.
  Connections(std::span<std::byte> memory, uint32_t flows_max, const HashKey& key,
              const model::Timeouts& timeouts, uint32_t now_tick);
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  /// The lookup stages: hash, prefetch_bucket, prefetch_record, find.
  const FlowTable<Tuple>& table() const { return table_; }
  Record& operator[](uint32_t index) { return table_[index]; }
  const Record& operator[](uint32_t index) const { return table_[index]; }
  uint32_t size() const { return table_.size(); }
  bool full() const { return table_.size() == table_.capacity(); }

  /// A new connection in tcp_syn or udp_new. Neither tuple may be in the table (`find` them
  /// first). no_flow when there is no room. The caller fills in the fields from client_mac to
  /// revision that it owns; they are zero.
  uint32_t open(const Tuple& from_client, uint64_t client_hash, const Tuple& from_backend,
                uint64_t backend_hash, uint8_t protocol, uint32_t now_tick);

  /// A packet of the connection. A tombstone (FlowState::reset) is left alone.
  Lifecycle touch(uint32_t index, const Segment& segment, uint32_t now_tick) {
    Record& record = table_[index];
    if (may_change_state(record.state, segment.direction, segment.tcp_flags)) [[unlikely]]
      return step(index, segment, now_tick);
    if (record.state != FlowState::reset) see(record, now_tick);
    return Lifecycle::same;
  }

  /// touch() when may_change_state() is false and the connection is no tombstone. The line is
  /// written ten times a second at the most, however many packets come.
  static void see(Record& record, uint32_t now_tick) {
    if (record.last_seen_tick != now_tick) record.last_seen_tick = now_tick;
  }

  /// Removes the connection. `ended` when it still counted as active.
  Lifecycle close(uint32_t index);

  /// Turns it into a tombstone that waits as long as tcp_closed. `ended` when it counted as
  /// active. A second reset changes nothing.
  Lifecycle reset(uint32_t index, uint32_t now_tick);

  /// Removes what has expired by `now_tick`, looking at no more than `budget` records; the rest
  /// waits for the next call. on_removed(const Record&) runs before the record is freed and must
  /// not call back. Returns how many records it looked at.
  template <typename OnRemoved>
  uint32_t expire(uint32_t now_tick, uint32_t budget, const OnRemoved& on_removed);

  /// Removes one connection: ended ones first (tcp_closed, tombstones), then embryonic ones
  /// (tcp_syn, udp_new), then closing ones, then established ones that have been silent for
  /// `idle_ticks_min`; within a class the one nearest to its expiry, of the evict_visits_max that
  /// the wheel holds to be nearest. False when there is nothing to remove.
  template <typename OnRemoved>
  bool evict_for_room(uint32_t now_tick, const OnRemoved& on_removed, uint32_t idle_ticks_min = 0);

  /// Visits up to `budget` record places from `cursor` on (0 starts): visit(index, const Record&)
  /// for each connection; it may close or reset that index. Returns the next cursor, or no_flow
  /// after the last. Connections opened meanwhile may be missed, none is visited twice.
  template <typename Visit>
  uint32_t scan(uint32_t cursor, uint32_t budget, const Visit& visit);

  /// New timeouts hold from the next expire() on. When one got shorter, expire() spends half of
  /// its budget on moving the timers of waiting connections until all are right.
  void set_timeouts(const model::Timeouts& timeouts);
  bool retiming() const { return retime_cursor_ != no_flow; }

  /// Records looked at by evict_for_room() in one wheel at the most.
  static constexpr uint32_t evict_visits_max = 8;

 private:
  using Wheel = TimerWheel<Record>;

  // A wheel for each class of eviction, and established TCP and UDP apart: with one timeout in a
  // wheel, the nearest to its expiry is also the longest idle.
  enum WheelIndex : unsigned {
    ended,
    embryonic,
    closing,
    udp_established,
    tcp_established,
    wheel_count
  };
  // Horizons: 13.6 min where timeouts are short, 3.6 h for established TCP, so that the default
  // timeouts lie inside and the order of eviction is exact.
  static constexpr std::array<uint32_t, wheel_count> wheel_slots = {8'192, 8'192, 8'192, 8'192,
                                                                    131'072};

  Wheel& wheel_of(FlowState state) {
    if (state == FlowState::tcp_established) return wheels_[tcp_established];
    if (state == FlowState::udp_established) return wheels_[udp_established];
    const FlowClass flow_class = class_of(state);
    if (flow_class == FlowClass::embryonic) return wheels_[embryonic];
    return wheels_[flow_class == FlowClass::closing ? closing : ended];
  }
  uint32_t expiry_tick(const Record& record) const {
    return record.last_seen_tick + timeouts_[static_cast<size_t>(record.state)];
  }
  Lifecycle step(uint32_t index, const Segment& segment, uint32_t now_tick);
  void change_state(uint32_t index, FlowState state);
  void retime(uint32_t budget);
  int32_t ticks_left(const Record& record, uint32_t now_tick) const {
    return ticks_between(now_tick, expiry_tick(record));
  }
  uint32_t nearest_to_expiry(Wheel& wheel, uint32_t now_tick);
  uint32_t eviction_candidate(uint32_t now_tick, uint32_t idle_ticks_min);
  std::span<std::byte> wheel_memory(std::span<std::byte> memory, unsigned wheel) const;

  FlowTable<Tuple> table_;
  std::array<Wheel, wheel_count> wheels_;
  std::array<uint32_t, 8> timeouts_{};  // by FlowState
  uint32_t retime_cursor_ = no_flow;
  uint32_t first_wheel_ = 0;  // whose turn it is to spend the budget first
};

template <typename Tuple>
template <typename OnRemoved>
uint32_t Connections<Tuple>::expire(uint32_t now_tick, uint32_t budget,
                                    const OnRemoved& on_removed) {
  if (retiming()) [[unlikely]]
    retime(budget / 2 + 1);
  uint32_t visited = 0;
  for (unsigned turn = 0; turn < wheel_count; ++turn) {
    Wheel& wheel = wheels_[(first_wheel_ + turn) % wheel_count];
    visited += wheel.advance(
        now_tick, budget - visited, [&](const Record& record) { return expiry_tick(record); },
        [&](uint32_t index) {
          on_removed(static_cast<const Record&>(table_[index]));
          table_.erase(index);
        });
  }
  first_wheel_ = (first_wheel_ + 1) % wheel_count;
  return visited;
}

template <typename Tuple>
template <typename OnRemoved>
bool Connections<Tuple>::evict_for_room(uint32_t now_tick, const OnRemoved& on_removed,
                                        uint32_t idle_ticks_min) {
  const uint32_t index = eviction_candidate(now_tick, idle_ticks_min);
  if (index == no_flow) return false;
  on_removed(static_cast<const Record&>(table_[index]));
  close(index);
  return true;
}

template <typename Tuple>
template <typename Visit>
uint32_t Connections<Tuple>::scan(uint32_t cursor, uint32_t budget, const Visit& visit) {
  const uint32_t end = table_.high_water();
  for (; cursor < end && budget > 0; ++cursor, --budget) {
    const Record& record = table_[cursor];
    if (record.state != FlowState::free) visit(cursor, record);
  }
  return cursor < end ? cursor : no_flow;
}

extern template class Connections<Tuple4>;
extern template class Connections<Tuple6>;

}  // namespace sluice::flow

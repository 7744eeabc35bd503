#include "dataplane/flow/connections.h"

namespace sluice::flow {
namespace {

template <typename Record>
size_t wheel_offset(std::span<const uint32_t> slots, unsigned wheel) {
  size_t bytes = 0;
  for (unsigned i = 0; i < wheel; ++i) bytes += TimerWheel<Record>::memory_bytes(slots[i]);
  return bytes;
}

}  // namespace

template <typename Tuple>
size_t Connections<Tuple>::memory_bytes(uint32_t flows_max) {
  return FlowTable<Tuple>::memory_bytes(flows_max) + wheel_offset<Record>(wheel_slots, wheel_count);
}

template <typename Tuple>
std::span<std::byte> Connections<Tuple>::wheel_memory(std::span<std::byte> memory,
                                                      unsigned wheel) const {
  const size_t offset =
      FlowTable<Tuple>::memory_bytes(table_.capacity()) + wheel_offset<Record>(wheel_slots, wheel);
  return memory.subspan(offset, Wheel::memory_bytes(wheel_slots[wheel]));
}

template <typename Tuple>
Connections<Tuple>::Connections(std::span<std::byte> memory, uint32_t flows_max, const HashKey& key,
                                const model::Timeouts& timeouts, uint32_t now_tick)
    : table_(memory, flows_max, key),
      wheels_{Wheel(wheel_memory(memory, 0), wheel_slots[0], table_.records(), now_tick),
              Wheel(wheel_memory(memory, 1), wheel_slots[1], table_.records(), now_tick),
              Wheel(wheel_memory(memory, 2), wheel_slots[2], table_.records(), now_tick),
              Wheel(wheel_memory(memory, 3), wheel_slots[3], table_.records(), now_tick),
              Wheel(wheel_memory(memory, 4), wheel_slots[4], table_.records(), now_tick)} {
  set_timeouts(timeouts);
  retime_cursor_ = no_flow;
}

template <typename Tuple>
uint32_t Connections<Tuple>::open(const Tuple& from_client, uint64_t client_hash,
                                  const Tuple& from_backend, uint64_t backend_hash,
                                  uint8_t protocol, uint32_t now_tick) {
  const uint32_t index =
      table_.insert(from_client, client_hash, from_backend, backend_hash, protocol);
  if (index == no_flow) return no_flow;
  Record& record = table_[index];
  record.state = protocol == protocol_tcp ? FlowState::tcp_syn : FlowState::udp_new;
  record.last_seen_tick = now_tick;
  wheel_of(record.state).insert(index, expiry_tick(record));
  return index;
}

/// Moves the timer only when it must fire earlier than it would, or belongs to another wheel.
template <typename Tuple>
void Connections<Tuple>::change_state(uint32_t index, FlowState state) {
  Record& record = table_[index];
  Wheel& from = wheel_of(record.state);
  Wheel& to = wheel_of(state);
  record.state = state;
  const uint32_t expiry = expiry_tick(record);
  if (&from == &to && ticks_between(record.expiry_tick, expiry) >= 0) return;
  from.remove(index);
  to.insert(index, expiry);
}

template <typename Tuple>
Lifecycle Connections<Tuple>::step(uint32_t index, const Segment& segment, uint32_t now_tick) {
  Record& record = table_[index];
  record.last_seen_tick = now_tick;
  if (record.state == FlowState::udp_new) {
    change_state(index, FlowState::udp_established);
    return Lifecycle::same;
  }
  const auto [track, lifecycle] =
      advance(TcpTrack{record.state, record.flags, record.rst_tick}, segment, now_tick);
  record.flags = track.flags;
  record.rst_tick = track.rst_tick;
  if (track.state != record.state) change_state(index, track.state);
  return lifecycle;
}

template <typename Tuple>
Lifecycle Connections<Tuple>::close(uint32_t index) {
  const Record& record = table_[index];
  const bool active = is_active(record);
  table_.prefetch_erase(index);  // four cache misses at once instead of one after another
  wheel_of(record.state).remove(index);
  table_.erase(index);
  return active ? Lifecycle::ended : Lifecycle::same;
}

template <typename Tuple>
Lifecycle Connections<Tuple>::reset(uint32_t index, uint32_t now_tick) {
  Record& record = table_[index];
  if (record.state == FlowState::reset) return Lifecycle::same;
  const bool active = is_active(record);
  record.flags |= counted_ended;
  record.last_seen_tick = now_tick;
  change_state(index, FlowState::reset);
  return active ? Lifecycle::ended : Lifecycle::same;
}

template <typename Tuple>
void Connections<Tuple>::set_timeouts(const model::Timeouts& timeouts) {
  bool shorter = false;
  for (size_t state = 0; state < timeouts_.size(); ++state) {
    const uint32_t ticks = timeout_ticks(static_cast<FlowState>(state), timeouts);
    shorter |= ticks < timeouts_[state];
    timeouts_[state] = ticks;
  }
  if (shorter) retime_cursor_ = 0;
}

template <typename Tuple>
void Connections<Tuple>::retime(uint32_t budget) {
  retime_cursor_ = scan(retime_cursor_, budget, [&](uint32_t index, const Record& record) {
    const uint32_t expiry = expiry_tick(record);
    if (ticks_between(record.expiry_tick, expiry) < 0) wheel_of(record.state).move(index, expiry);
  });
}

/// The wheel's order is only a lower bound, because packets re-arm lazily. So the nearest records
/// are put where they belong until one is found that is there already: none expires earlier. Each
/// move is work that the wheel would have done anyway; after evict_visits_max of them, the
/// nearest to its expiry of those seen is good enough.
template <typename Tuple>
uint32_t Connections<Tuple>::nearest_to_expiry(Wheel& wheel, uint32_t now_tick) {
  uint32_t best = no_flow;
  int32_t best_left = 0;
  for (uint32_t visit = 0; visit < evict_visits_max; ++visit) {
    const uint32_t index = wheel.nearest();
    if (index == no_flow) break;
    const Record& record = table_[index];
    const int32_t left = ticks_left(record, now_tick);
    if (best == no_flow || left < best_left) {
      best = index;
      best_left = left;
    }
    const uint32_t expiry = expiry_tick(record);
    if (wheel.placement(expiry) == record.expiry_tick || left <= 0) break;
    wheel.move(index, expiry);
  }
  return best;
}

template <typename Tuple>
uint32_t Connections<Tuple>::eviction_candidate(uint32_t now_tick, uint32_t idle_ticks_min) {
  for (const WheelIndex wheel : {ended, embryonic, closing}) {
    const uint32_t index = nearest_to_expiry(wheels_[wheel], now_tick);
    if (index != no_flow) return index;
  }
  uint32_t best = no_flow;
  for (const WheelIndex wheel : {udp_established, tcp_established}) {
    const uint32_t index = nearest_to_expiry(wheels_[wheel], now_tick);
    if (index == no_flow) continue;
    const Record& record = table_[index];
    const int32_t idle = ticks_between(record.last_seen_tick, now_tick);
    if (idle < static_cast<int32_t>(idle_ticks_min)) continue;
    if (best == no_flow || ticks_left(record, now_tick) < ticks_left(table_[best], now_tick)) {
      best = index;
    }
  }
  return best;
}

template class Connections<Tuple4>;
template class Connections<Tuple6>;

}  // namespace sluice::flow

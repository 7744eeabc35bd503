#include "dataplane/upkeep.h"

#include <algorithm>

#include "dataplane/flow_counts.h"
#include "dataplane/follow.h"

namespace sluice::dataplane {
namespace {

template <typename Tuple>
uint32_t sweep(uint32_t cursor, const model::Snapshot& snapshot, WorkerState& state,
               uint32_t now_tick) {
  if (cursor == flow::no_flow) return flow::no_flow;
  auto& connections = state.connections<Tuple>();
  return connections.scan(cursor, Upkeep::sweep_budget,
                          [&](uint32_t index, const flow::FlowRecord<Tuple>& record) {
                            if (record.state == flow::FlowState::reset) return;
                            if (standing_of(snapshot, record) != Standing::reset) return;
                            reset_flow(state.counters, connections, index, now_tick);
                          });
}

/// A handshake that expired before its backend had said a word.
template <typename Tuple>
void count_unanswered(WorkerCounters& counters, const flow::FlowRecord<Tuple>& record) {
  if (record.state != flow::FlowState::tcp_syn) return;
  if ((record.flags & flow::saw_backend_syn) == 0) {
    counters.backends[record.backend].unanswered.add(1);
  }
}

/// True when the budget was used up: more may have expired.
template <typename Tuple>
bool expire(WorkerState& state, uint32_t now_tick) {
  auto& connections = state.connections<Tuple>();
  const uint32_t visited = connections.expire(now_tick, Upkeep::expire_budget,
                                              [&](const flow::FlowRecord<Tuple>& record) {
                                                if (flow::is_active(record))
                                                  count_ended(state.counters, record);
                                                count_unanswered(state.counters, record);
                                              });
  return visited >= Upkeep::expire_budget || connections.retiming();
}

}  // namespace

void Upkeep::take_up(const model::Snapshot& snapshot, WorkerState& state) {
  state.connections_v4.set_timeouts(snapshot.timeouts);
  state.connections_v6.set_timeouts(snapshot.timeouts);
  // Every reset carries the revision that asked for it, so a new one is above all that went before.
  const auto newest = std::ranges::max_element(snapshot.reset_before);
  if (newest != snapshot.reset_before.end() && *newest > swept_before_) {
    swept_before_ = *newest;
    sweep_v4_ = 0;
    sweep_v6_ = 0;
  }
}

bool Upkeep::step(const model::Snapshot& snapshot, WorkerState& state, uint32_t now_tick) {
  bool more = expire<Tuple4>(state, now_tick);
  more |= expire<Tuple6>(state, now_tick);
  if (sweeping()) [[unlikely]] {
    sweep_v4_ = sweep<Tuple4>(sweep_v4_, snapshot, state, now_tick);
    sweep_v6_ = sweep<Tuple6>(sweep_v6_, snapshot, state, now_tick);
  }
  state.counters.flows_v4.set(state.connections_v4.size());
  state.counters.flows_v6.set(state.connections_v6.size());
  state.counters.flow_table_collisions.set(state.connections_v4.table().collisions() +
                                           state.connections_v6.table().collisions());
  return more || sweeping();
}

}  // namespace sluice::dataplane

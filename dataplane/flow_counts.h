// Counting connections: by ref (route, rule, pool) and by backend. active = decisions - ended in
// both. A revived connection (flow/tcp_state.h) takes its `ended` back.
#pragma once

#include <cstdint>

#include "dataplane/flow/connections.h"
#include "dataplane/worker_counters.h"

namespace sluice::dataplane {

template <typename Tuple>
inline void count_opened(WorkerCounters& counters, const flow::FlowRecord<Tuple>& record,
                         uint64_t revision, uint64_t now_ns) {
  RefCounters& ref = counters.refs[record.ref];
  // First when and by whom, then that: whoever sees the decision also sees what made it.
  ref.last_decision_ns.set(now_ns);
  ref.last_decision_revision.set(revision);
  ref.decisions.add(1);
  counters.backends[record.backend].connections.add(1);
}

template <typename Tuple>
inline void count_ended(WorkerCounters& counters, const flow::FlowRecord<Tuple>& record) {
  counters.refs[record.ref].ended.add(1);
  counters.backends[record.backend].ended.add(1);
}

template <typename Tuple>
inline void count_revived(WorkerCounters& counters, const flow::FlowRecord<Tuple>& record) {
  constexpr auto minus_one = ~uint64_t{0};
  counters.refs[record.ref].ended.add(minus_one);
  counters.backends[record.backend].ended.add(minus_one);
}

template <typename Tuple>
inline void count_lifecycle(WorkerCounters& counters, const flow::FlowRecord<Tuple>& record,
                            flow::Lifecycle lifecycle) {
  switch (lifecycle) {
    case flow::Lifecycle::same:
      break;
    case flow::Lifecycle::ended:
      count_ended(counters, record);
      break;
    case flow::Lifecycle::revived:
      count_revived(counters, record);
      break;
  }
}

/// Removes a flow and counts it as ended if it had not been.
template <typename Tuple>
inline void close_flow(WorkerCounters& counters, flow::Connections<Tuple>& connections,
                       uint32_t index) {
  if (flow::is_active(connections[index])) count_ended(counters, connections[index]);
  connections.close(index);
}

/// Ends a flow from our side: TCP becomes a tombstone, UDP, which knows no RST, is removed.
template <typename Tuple>
inline void reset_flow(WorkerCounters& counters, flow::Connections<Tuple>& connections,
                       uint32_t index, uint32_t now_tick) {
  const flow::FlowRecord<Tuple>& record = connections[index];
  if (flow::is_active(record)) counters.refs[record.ref].resets.add(1);
  if (record.protocol == protocol_udp) {
    close_flow(counters, connections, index);
  } else {
    count_lifecycle(counters, record, connections.reset(index, now_tick));
  }
}

}  // namespace sluice::dataplane

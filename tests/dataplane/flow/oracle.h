// Oracle: what Connections should do, written the naive way: maps keyed by tuples, 64-bit time,
// deadlines in a sorted set, no wheel, no buckets. For tests.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "dataplane/base/tuple.h"
#include "dataplane/flow/tcp_state.h"

namespace sluice::flow {

template <typename Tuple>
class Oracle {
 public:
  /// A tuple's bytes and the protocol.
  using Key = std::array<uint8_t, sizeof(Tuple) + 1>;

  struct Flow {
    Key client, backend;
    uint8_t protocol = 0;
    TcpTrack track;
    uint64_t last_seen = 0;
    uint64_t deadline = 0;
    uint32_t revision = 0;
    bool active = true;
  };

  explicit Oracle(const model::Timeouts& timeouts) : timeouts_(timeouts) {}

  static Key key(const Tuple& tuple, uint8_t protocol) {
    Key key;
    std::memcpy(key.data(), &tuple, sizeof(Tuple));
    key[sizeof(Tuple)] = protocol;
    return key;
  }

  /// The flow of a tuple in either direction; null when there is none.
  std::pair<Flow*, Direction> find(const Key& key) {
    if (const auto found = by_client_.find(key); found != by_client_.end()) {
      return {&found->second, Direction::from_client};
    }
    if (const auto found = client_of_reply_.find(key); found != client_of_reply_.end()) {
      return {&by_client_.at(found->second), Direction::from_backend};
    }
    return {nullptr, Direction::from_client};
  }

  void open(const Key& client, const Key& backend, uint8_t protocol, uint32_t revision,
            uint64_t now) {
    Flow& flow = by_client_[client];
    flow.client = client;
    flow.backend = backend;
    flow.protocol = protocol;
    flow.revision = revision;
    flow.track.state = protocol == protocol_tcp ? FlowState::tcp_syn : FlowState::udp_new;
    flow.last_seen = now;
    flow.deadline = now + timeout(flow);
    client_of_reply_[backend] = client;
    link(flow);
  }

  Lifecycle packet(Flow& flow, const Segment& segment, uint64_t now) {
    if (flow.track.state == FlowState::reset) return Lifecycle::same;
    unlink(flow);
    Lifecycle lifecycle = Lifecycle::same;
    if (flow.protocol == protocol_tcp) {
      const TcpStep step = advance(flow.track, segment, static_cast<uint32_t>(now));
      flow.track = step.track;
      lifecycle = step.lifecycle;
      if (lifecycle != Lifecycle::same) flow.active = lifecycle == Lifecycle::revived;
    } else if (segment.direction == Direction::from_backend) {
      flow.track.state = FlowState::udp_established;
    }
    flow.last_seen = now;
    flow.deadline = now + timeout(flow);
    link(flow);
    return lifecycle;
  }

  void reset(Flow& flow, uint64_t now) {
    if (flow.track.state == FlowState::reset) return;
    unlink(flow);
    flow.track.state = FlowState::reset;
    flow.active = false;
    flow.last_seen = now;
    flow.deadline = now + timeout(flow);
    link(flow);
  }

  void remove(const Key& client) {
    Flow& flow = by_client_.at(client);
    unlink(flow);
    client_of_reply_.erase(flow.backend);
    by_client_.erase(client);
  }

  void set_timeouts(const model::Timeouts& timeouts) {
    timeouts_ = timeouts;
    for (auto& [key, flow] : by_client_) {
      unlink(flow);
      flow.deadline = flow.last_seen + timeout(flow);
      link(flow);
    }
  }

  /// The flow of a class that is nearest to its deadline; null when the class is empty.
  const Flow* nearest(FlowClass flow_class) const {
    const auto& deadlines = deadlines_[static_cast<size_t>(flow_class)];
    return deadlines.empty() ? nullptr : &by_client_.at(deadlines.begin()->second);
  }

  /// Flows whose deadline is not after `now`.
  bool any_due(uint64_t now) const {
    for (const auto& deadlines : deadlines_) {
      if (!deadlines.empty() && deadlines.begin()->first <= now) return true;
    }
    return false;
  }

  size_t size() const { return by_client_.size(); }
  size_t reply_keys() const { return client_of_reply_.size(); }
  uint64_t active() const {
    uint64_t count = 0;
    for (const auto& [key, flow] : by_client_) count += flow.active;
    return count;
  }

 private:
  uint64_t timeout(const Flow& flow) const { return timeout_ticks(flow.track.state, timeouts_); }
  auto& deadlines_of(const Flow& flow) {
    return deadlines_[static_cast<size_t>(class_of(flow.track.state))];
  }
  void link(const Flow& flow) { deadlines_of(flow).emplace(flow.deadline, flow.client); }
  void unlink(const Flow& flow) { deadlines_of(flow).erase({flow.deadline, flow.client}); }

  model::Timeouts timeouts_;
  std::map<Key, Flow> by_client_;
  std::map<Key, Key> client_of_reply_;
  std::array<std::set<std::pair<uint64_t, Key>>, flow_class_count> deadlines_;
};

}  // namespace sluice::flow

// Simulation: one worker's Connections of one family through simulated time, every step checked
// against the Oracle. Clients from a small universe open, talk, close, vanish and come back on
// the same port; SYN floods fill the table; the worker stalls, the clock jumps, timeouts and
// revisions change. For tests.
#pragma once

#include <gtest/gtest.h>

#include "dataplane/flow/connections.h"
#include "dataplane/wire/parse.h"
#include "tests/dataplane/flow/oracle.h"
#include "tests/dataplane/flow/support.h"

namespace sluice::flow {

template <typename Tuple>
class Simulation {
 public:
  static constexpr uint32_t flows_max = 1'500;
  static constexpr uint32_t universe = 4'000;  // client endpoints, more than flows_max

  Simulation(Random& random, uint32_t start_tick)
      : random_(random),
        now_(uint64_t{1} << 32 | start_tick),
        memory_(Connections<Tuple>::memory_bytes(flows_max)),
        connections_(memory_.span(), flows_max, random_key(random), timeouts_, start_tick),
        oracle_(timeouts_) {}

  /// Runs until `ticks` of simulated time have passed, or a check fails.
  void run(uint64_t ticks) {
    const uint64_t end = now_ + ticks;
    while (now_ < end && !testing::Test::HasFatalFailure()) {
      if (now_ >= phase_end_) begin_phase();
      step();
    }
  }

  /// Lets everything expire; nothing may be left.
  void drain() {
    now_ += uint64_t{timeouts_.tcp_established} + 1'000'000;
    while (expire(1'000) == 1'000) continue;
    ASSERT_EQ(connections_.size(), 0u);
    ASSERT_EQ(oracle_.size(), 0u);
    ASSERT_EQ(opened_ + revived_, ended_);
  }

  uint64_t opened() const { return opened_; }
  uint64_t expired() const { return expired_; }
  uint64_t revived() const { return revived_; }
  uint64_t evicted() const { return evicted_; }
  uint64_t evicted_exactly() const { return evicted_exactly_; }
  uint64_t resets() const { return resets_; }
  uint64_t reused() const { return reused_; }

 private:
  using Key = typename Oracle<Tuple>::Key;
  using Flow = typename Oracle<Tuple>::Flow;
  using Record = FlowRecord<Tuple>;

  uint32_t tick() const { return static_cast<uint32_t>(now_); }
  bool chance(uint32_t per_mille) { return random_() % 1000 < per_mille; }

  /// Ten seconds to ten minutes of one kind of weather.
  void begin_phase() {
    catch_up();
    static constexpr std::array<uint32_t, 6> loads = {0, 1, 5, 10, 30, 200};  // packets a tick
    static constexpr std::array<uint32_t, 4> budgets = {3, 16, 64, 1024};
    phase_end_ = now_ + 100 + random_() % 6'000;
    load_ = loads[random_() % loads.size()];
    if (load_ == 200) phase_end_ = now_ + 100 + random_() % 200;
    new_flow_per_mille_ = chance(300) ? 900 : 100;
    budget_ = budgets[random_() % budgets.size()];
    if (chance(100)) change_timeouts();
    if (chance(100)) sweep_resets();
    if (chance(30)) now_ += random_() % 100'000;  // the clock jumps by up to three hours
  }

  void step() {
    ++now_;
    if (chance(2)) now_ += random_() % 300;  // a stalled worker
    const uint64_t packets = load_ == 0 ? chance(100) : random_() % (2 * load_);
    for (uint64_t i = 0; i < packets; ++i) packet();
    service();
    ASSERT_EQ(connections_.size(), oracle_.size());
    ASSERT_EQ(oracle_.reply_keys(), oracle_.size());
    if (chance(1)) check_everything();
  }

  /// One call of expire, as a worker's loop makes it. When the budget sufficed nothing is due.
  void service() {
    if (expire(budget_) == budget_ || connections_.retiming()) return;
    ASSERT_FALSE(oracle_.any_due(now_)) << "a timer was lost";
  }

  /// In a tick, every record is looked at once by its wheel, and once for new timeouts, which get
  /// half of the budget: so many calls suffice, whatever lay behind. A timer that new timeouts
  /// move into the past fires with the next tick.
  void catch_up() {
    for (int ticks = 0; ticks < 2; ++ticks, ++now_) {
      uint32_t calls = 0;
      while (expire(budget_) == budget_ || connections_.retiming()) {
        ASSERT_LE(++calls, 3 * flows_max / budget_ + 4);
      }
    }
    ASSERT_FALSE(oracle_.any_due(now_ - 1)) << "a timer was lost";
  }

  uint32_t expire(uint32_t budget) {
    return connections_.expire(tick(), budget, [&](const Record& record) {
      const Key client = Oracle<Tuple>::key(record.from_client, record.protocol);
      const auto [flow, direction] = oracle_.find(client);
      ASSERT_NE(flow, nullptr) << "a stale entry";
      ASSERT_LE(flow->deadline, now_) << "expired too early";
      ++expired_;
      forget(record, client);
    });
  }

  void forget(const Record& record, const Key& client) {
    ASSERT_EQ(is_active(record), oracle_.find(client).first->active);
    if (is_active(record)) ++ended_;
    oracle_.remove(client);
  }

  void count(Lifecycle lifecycle) {
    if (lifecycle == Lifecycle::ended) ++ended_;
    if (lifecycle == Lifecycle::revived) ++revived_;
  }

  void packet() {
    const uint8_t protocol = chance(700) ? protocol_tcp : protocol_udp;
    // Every second packet is one of a few busy clients, whose connections live a whole life.
    const auto client = static_cast<uint32_t>(random_() % (chance(500) ? 300 : universe));
    const auto tuple = numbered_tuple<Tuple>(client / 16, static_cast<uint16_t>(client % 16));
    const Key key = Oracle<Tuple>::key(tuple, protocol);
    const auto [flow, direction] = oracle_.find(key);
    const FlowMatch match = find(tuple, protocol);
    ASSERT_EQ(match.index != no_flow, flow != nullptr);
    if (flow == nullptr) {
      if (chance(new_flow_per_mille_)) open(tuple, protocol);
      return;
    }
    check(match.index, *flow);
    if (protocol == protocol_tcp && chance(50) && reusable_by_syn(flow->track.state)) {
      close(match.index, key);
      ++reused_;
      open(tuple, protocol);
    } else if (chance(2)) {
      close(match.index, key);
    } else {
      talk(match.index, *flow);
    }
  }

  void talk(uint32_t index, Flow& flow) {
    // Weighted so that connections get through their whole life now and then.
    static constexpr std::array<uint8_t, 12> flags = {0x10, 0x10, 0x10, 0x10, 0x18, 0x18,
                                                      0x12, 0x12, 0x02, 0x11, 0x14, 0x04};
    Segment segment;
    segment.direction = chance(500) ? Direction::from_backend : Direction::from_client;
    if (flow.protocol == protocol_tcp) {
      segment.tcp_flags = flags[random_() % flags.size()];
      segment.has_payload = segment.tcp_flags == 0x18 || chance(100);
    }
    const bool from_client = segment.direction == Direction::from_client;
    const Record& record = connections_[index];
    const FlowMatch match =
        find(from_client ? record.from_client : record.from_backend, flow.protocol);
    ASSERT_EQ(match.index, index);
    ASSERT_EQ(match.direction, segment.direction);
    const Lifecycle lifecycle = connections_.touch(index, segment, tick());
    ASSERT_EQ(lifecycle, oracle_.packet(flow, segment, now_));
    count(lifecycle);
    check(index, flow);
  }

  void open(const Tuple& client, uint8_t protocol) {
    if (connections_.full()) evict();
    // Few reply tuples, so that they collide.
    auto reply = numbered_tuple<Tuple>(0xc000'0000 + random_() % 4, 80);
    uint32_t index = no_flow;
    do {
      reply.destination_port = static_cast<uint16_t>(random_() % 2048);
      const bool taken = oracle_.find(Oracle<Tuple>::key(reply, protocol)).first != nullptr;
      ASSERT_EQ(find(reply, protocol).index != no_flow, taken);
      index = connections_.open(client, hash(client, protocol), reply, hash(reply, protocol),
                                protocol, tick());
      ASSERT_EQ(index == no_flow, taken);
    } while (index == no_flow);
    connections_[index].revision = revision_;
    oracle_.open(Oracle<Tuple>::key(client, protocol), Oracle<Tuple>::key(reply, protocol),
                 protocol, revision_, now_);
    ++opened_;
  }

  void evict() {
    const bool evicted = connections_.evict_for_room(tick(), [&](const Record& record) {
      const Key client = Oracle<Tuple>::key(record.from_client, record.protocol);
      const auto flow_class = class_of(record.state);
      for (unsigned earlier = 0; earlier < static_cast<unsigned>(flow_class); ++earlier) {
        ASSERT_EQ(oracle_.nearest(static_cast<FlowClass>(earlier)), nullptr);
      }
      const Flow* nearest = oracle_.nearest(flow_class);
      ASSERT_NE(nearest, nullptr);
      if (nearest->deadline == oracle_.find(client).first->deadline) ++evicted_exactly_;
      ++evicted_;
      forget(record, client);
    });
    ASSERT_TRUE(evicted);
    ASSERT_FALSE(connections_.full());
  }

  void close(uint32_t index, const Key& key) {
    const bool active = oracle_.find(key).first->active;
    const Lifecycle lifecycle = connections_.close(index);
    ASSERT_EQ(lifecycle == Lifecycle::ended, active);
    count(lifecycle);
    oracle_.remove(key);
  }

  void change_timeouts() {
    timeouts_ = {};
    for (uint32_t* timeout :
         {&timeouts_.tcp_syn, &timeouts_.tcp_established, &timeouts_.tcp_closing,
          &timeouts_.tcp_closed, &timeouts_.udp_new, &timeouts_.udp_established}) {
      // Up to 20 times longer or shorter; established: from 6 minutes to 40 hours.
      *timeout = std::max<uint32_t>(1, *timeout * (1 + random_() % 20) / (1 + random_() % 20));
    }
    connections_.set_timeouts(timeouts_);
    oracle_.set_timeouts(timeouts_);
  }

  /// As `--existing reset` does: a bounded sweep that turns older flows into tombstones.
  void sweep_resets() {
    const uint32_t reset_before = ++revision_ - static_cast<uint32_t>(random_() % 3);
    for (uint32_t cursor = 0; cursor != no_flow;) {
      cursor = connections_.scan(cursor, 100, [&](uint32_t index, const Record& record) {
        if (record.revision >= reset_before) return;
        const Key client = Oracle<Tuple>::key(record.from_client, record.protocol);
        count(connections_.reset(index, tick()));
        oracle_.reset(*oracle_.find(client).first, now_);
        ++resets_;
      });
    }
  }

  void check(uint32_t index, const Flow& flow) {
    const Record& record = connections_[index];
    ASSERT_EQ(Oracle<Tuple>::key(record.from_client, record.protocol), flow.client);
    ASSERT_EQ(Oracle<Tuple>::key(record.from_backend, record.protocol), flow.backend);
    ASSERT_EQ(record.state, flow.track.state);
    ASSERT_EQ(record.last_seen_tick, static_cast<uint32_t>(flow.last_seen));
    ASSERT_EQ(is_active(record), flow.active);
  }

  void check_everything() {
    size_t seen = 0;
    for (uint32_t cursor = 0; cursor != no_flow;) {
      cursor =
          connections_.scan(cursor, 1 + random_() % 500, [&](uint32_t index, const Record& record) {
            const Key client = Oracle<Tuple>::key(record.from_client, record.protocol);
            const auto [flow, direction] = oracle_.find(client);
            ASSERT_NE(flow, nullptr);
            check(index, *flow);
            ++seen;
          });
    }
    ASSERT_EQ(seen, oracle_.size());
    ASSERT_EQ(opened_ + revived_ - ended_, oracle_.active());
  }

  uint64_t hash(const Tuple& tuple, uint8_t protocol) const {
    return connections_.table().hash(tuple, protocol);
  }
  FlowMatch find(const Tuple& tuple, uint8_t protocol) const {
    return connections_.table().find(tuple, protocol, hash(tuple, protocol));
  }

  Random& random_;
  uint64_t now_;
  model::Timeouts timeouts_;
  Memory memory_;
  Connections<Tuple> connections_;
  Oracle<Tuple> oracle_;
  uint64_t phase_end_ = 0;
  uint32_t load_ = 0, new_flow_per_mille_ = 0, budget_ = 1;
  uint32_t revision_ = 1;
  uint64_t opened_ = 0, ended_ = 0, revived_ = 0, expired_ = 0, reused_ = 0, resets_ = 0;
  uint64_t evicted_ = 0, evicted_exactly_ = 0;
};

}  // namespace sluice::flow

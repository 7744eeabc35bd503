#include "dataplane/flow/connections.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "dataplane/wire/parse.h"
#include "tests/dataplane/flow/support.h"

namespace sluice::flow {
namespace {

using wire::tcp_ack;
using wire::tcp_fin;
using wire::tcp_rst;

constexpr uint8_t syn = wire::tcp_syn;
constexpr uint32_t start_tick = 0xffff'ff00;  // the tick wraps in most tests

template <typename Tuple>
class ConnectionsTest : public testing::Test {
 protected:
  static constexpr uint32_t flows_max = 64;

  uint32_t open(uint8_t protocol = protocol_tcp) {
    const auto client = random_tuple<Tuple>(random_);
    const auto backend = random_tuple<Tuple>(random_);
    return connections_.open(client, hash(client, protocol), backend, hash(backend, protocol),
                             protocol, now_);
  }
  uint32_t open_established() {
    const uint32_t index = open();
    backend(index, syn | tcp_ack);
    client(index, tcp_ack);
    return index;
  }
  uint64_t hash(const Tuple& tuple, uint8_t protocol) {
    return connections_.table().hash(tuple, protocol);
  }
  Lifecycle client(uint32_t index, uint8_t flags, bool payload = false) {
    return connections_.touch(index, {Direction::from_client, flags, payload}, now_);
  }
  Lifecycle backend(uint32_t index, uint8_t flags, bool payload = false) {
    return connections_.touch(index, {Direction::from_backend, flags, payload}, now_);
  }
  FlowState state(uint32_t index) { return connections_[index].state; }

  /// Indexes that expire as the clock goes on by `ticks`, one call of expire() a tick.
  std::vector<uint32_t> wait(uint32_t ticks) {
    std::vector<uint32_t> expired;
    for (; ticks > 0; --ticks) {
      connections_.expire(++now_, 1000, [&](const auto& record) {
        expired.push_back(static_cast<uint32_t>(&record - &connections_[0]));
      });
    }
    return expired;
  }
  uint32_t evict(uint32_t idle_ticks_min = 0) {
    uint32_t index = no_flow;
    const bool evicted = connections_.evict_for_room(
        now_,
        [&](const auto& record) { index = static_cast<uint32_t>(&record - &connections_[0]); },
        idle_ticks_min);
    EXPECT_EQ(evicted, index != no_flow);
    return index;
  }

  Random random_{test_seed()};
  uint32_t now_ = start_tick;
  model::Timeouts timeouts_;
  Memory memory_{Connections<Tuple>::memory_bytes(flows_max)};
  Connections<Tuple> connections_{memory_.span(), flows_max, random_key(random_), timeouts_, now_};
};

using Indexes = std::vector<uint32_t>;
using Families = testing::Types<Tuple4, Tuple6>;
TYPED_TEST_SUITE(ConnectionsTest, Families);

TYPED_TEST(ConnectionsTest, EveryStateExpiresAfterItsOwnTimeout) {
  const uint32_t embryonic = this->open();
  EXPECT_EQ(this->wait(this->timeouts_.tcp_syn - 1), Indexes{});
  EXPECT_EQ(this->wait(1), Indexes{embryonic});

  const uint32_t established = this->open_established();
  EXPECT_EQ(this->wait(this->timeouts_.tcp_established - 1), Indexes{});
  EXPECT_EQ(this->wait(1), Indexes{established});

  const uint32_t closing = this->open_established();
  this->client(closing, tcp_fin | tcp_ack);
  EXPECT_EQ(this->wait(this->timeouts_.tcp_closing - 1), Indexes{});
  EXPECT_EQ(this->wait(1), Indexes{closing});

  const uint32_t closed = this->open_established();
  this->backend(closed, tcp_rst);
  EXPECT_EQ(this->wait(this->timeouts_.tcp_closed - 1), Indexes{});
  EXPECT_EQ(this->wait(1), Indexes{closed});

  const uint32_t datagram = this->open(protocol_udp);
  EXPECT_EQ(this->wait(this->timeouts_.udp_new - 1), Indexes{});
  EXPECT_EQ(this->wait(1), Indexes{datagram});

  const uint32_t answered = this->open(protocol_udp);
  this->backend(answered, 0);
  EXPECT_EQ(this->wait(this->timeouts_.udp_established - 1), Indexes{});
  EXPECT_EQ(this->wait(1), Indexes{answered});
  EXPECT_EQ(this->connections_.size(), 0u);
}

TYPED_TEST(ConnectionsTest, PacketsKeepAConnectionAlive) {
  const uint32_t tcp = this->open_established();
  const uint32_t udp = this->open(protocol_udp);
  this->backend(udp, 0);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(this->wait(this->timeouts_.udp_established - 1), Indexes{});
    EXPECT_EQ(this->backend(tcp, tcp_ack, true), Lifecycle::same);
    EXPECT_EQ(this->client(udp, 0), Lifecycle::same);
  }
  EXPECT_EQ(this->wait(this->timeouts_.udp_established), Indexes{udp});
}

TYPED_TEST(ConnectionsTest, ClientAloneDoesNotEstablishUdp) {
  const uint32_t index = this->open(protocol_udp);
  this->client(index, 0);
  EXPECT_EQ(this->state(index), FlowState::udp_new);
  this->backend(index, 0);
  EXPECT_EQ(this->state(index), FlowState::udp_established);
}

TYPED_TEST(ConnectionsTest, RevivedConnectionGetsItsLongTimeoutBack) {
  const uint32_t index = this->open_established();
  EXPECT_EQ(this->client(index, tcp_rst), Lifecycle::ended);
  EXPECT_FALSE(is_active(this->connections_[index]));
  this->wait(this->timeouts_.tcp_closed - 1);
  EXPECT_EQ(this->client(index, tcp_ack, true), Lifecycle::revived);
  EXPECT_TRUE(is_active(this->connections_[index]));
  EXPECT_EQ(this->wait(this->timeouts_.tcp_established - 1), Indexes{});
  EXPECT_EQ(this->wait(1), Indexes{index});
}

TYPED_TEST(ConnectionsTest, TombstoneCountsOnceAndLetsNoPacketRefreshIt) {
  const uint32_t index = this->open_established();
  EXPECT_EQ(this->connections_.reset(index, this->now_), Lifecycle::ended);
  EXPECT_EQ(this->connections_.reset(index, this->now_), Lifecycle::same);
  EXPECT_EQ(this->wait(this->timeouts_.tcp_closed - 1), Indexes{});
  EXPECT_EQ(this->client(index, tcp_ack, true), Lifecycle::same);
  EXPECT_EQ(this->client(index, syn), Lifecycle::same);
  EXPECT_EQ(this->state(index), FlowState::reset);
  EXPECT_EQ(this->wait(1), Indexes{index});
}

TYPED_TEST(ConnectionsTest, CloseTellsWhetherItStillCounted) {
  const uint32_t living = this->open_established();
  EXPECT_EQ(this->connections_.close(living), Lifecycle::ended);
  const uint32_t dead = this->open_established();
  this->client(dead, tcp_rst);
  EXPECT_EQ(this->connections_.close(dead), Lifecycle::same);
  EXPECT_EQ(this->connections_.size(), 0u);
  EXPECT_EQ(this->wait(100'000), Indexes{});
}

TYPED_TEST(ConnectionsTest, EvictsByClassAndThenByExpiry) {
  const uint32_t idle = this->open_established();
  this->wait(50);
  const uint32_t fresh = this->open_established();
  const uint32_t closing = this->open_established();
  this->client(closing, tcp_fin | tcp_ack);
  const uint32_t closed = this->open_established();
  this->client(closed, tcp_rst);
  const uint32_t tombstone = this->open_established();
  this->wait(1);
  this->connections_.reset(tombstone, this->now_);
  const uint32_t old_syn = this->open();
  this->wait(1);
  const uint32_t new_syn = this->open();
  const uint32_t datagram = this->open(protocol_udp);

  for (const uint32_t expected :
       {closed, tombstone, old_syn, new_syn, datagram, closing, idle, fresh, no_flow}) {
    EXPECT_EQ(this->evict(), expected);
  }
  EXPECT_EQ(this->connections_.size(), 0u);
}

TYPED_TEST(ConnectionsTest, LongestIdleGoesFirstAlthoughTimersAreLazy) {
  std::vector<uint32_t> indexes(6);
  for (uint32_t& index : indexes) index = this->open_established();
  for (const size_t i : {4, 2, 0, 5, 1, 3}) {  // refreshed in this order
    this->wait(10);
    this->client(indexes[i], tcp_ack);
  }
  for (const size_t i : {4, 2, 0, 5, 1, 3}) EXPECT_EQ(this->evict(), indexes[i]);
}

TYPED_TEST(ConnectionsTest, EstablishedConnectionsThatTalkAreKept) {
  const uint32_t tcp = this->open_established();
  this->wait(60);
  const uint32_t udp = this->open(protocol_udp);
  this->backend(udp, 0);
  this->wait(50);
  const uint32_t embryonic = this->open();
  EXPECT_EQ(this->evict(100), embryonic);  // however young
  // The UDP flow is nearer to its expiry, but too young; the TCP one has been silent for long.
  EXPECT_EQ(this->evict(100), tcp);
  EXPECT_EQ(this->evict(100), no_flow);
  this->wait(50);
  EXPECT_EQ(this->evict(100), udp);
}

TYPED_TEST(ConnectionsTest, FloodOfSynsEvictsOnlyItself) {
  std::set<uint32_t> established;
  for (uint32_t i = 0; i < this->flows_max - 1; ++i) established.insert(this->open_established());
  for (int i = 0; i < 10'000; ++i) {
    if (this->connections_.full()) {
      EXPECT_FALSE(established.contains(this->evict()));
    }
    EXPECT_NE(this->open(), no_flow);
    if (i % 100 == 0) this->wait(1);
  }
  for (const uint32_t index : established)
    EXPECT_EQ(this->state(index), FlowState::tcp_established);
}

// All within one tick: a handshake under way has as many SYNs of a flood before it as there is
// room.
TYPED_TEST(ConnectionsTest, HalfOpenConnectionsOfOneTickEndInOrder) {
  std::vector<uint32_t> opened;
  for (uint32_t i = 0; i < this->flows_max; ++i) opened.push_back(this->open());
  for (size_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(this->evict(), opened[i]);
    opened.push_back(this->open());
  }
}

// Connections that are over make room before one whose handshake is under way.
TYPED_TEST(ConnectionsTest, EndedConnectionsEndBeforeHandshakes) {
  const uint32_t handshake = this->open();
  this->wait(10);
  const uint32_t over = this->open_established();
  this->backend(over, tcp_rst | tcp_ack);
  EXPECT_EQ(this->state(over), FlowState::tcp_closed);
  EXPECT_EQ(this->evict(), over);
  EXPECT_EQ(this->evict(), handshake);
}

TYPED_TEST(ConnectionsTest, ShorterTimeoutsReachWaitingConnections) {
  for (uint32_t i = 0; i < this->flows_max; ++i) this->open_established();
  this->wait(100);
  this->timeouts_.tcp_established = 200;
  this->connections_.set_timeouts(this->timeouts_);
  EXPECT_TRUE(this->connections_.retiming());
  EXPECT_EQ(this->wait(99), Indexes{});
  EXPECT_FALSE(this->connections_.retiming());
  EXPECT_EQ(this->wait(1).size(), this->flows_max);
}

TYPED_TEST(ConnectionsTest, LongerTimeoutsHoldAtOnce) {
  const uint32_t index = this->open();
  this->timeouts_.tcp_syn = 5'000;
  this->connections_.set_timeouts(this->timeouts_);
  EXPECT_FALSE(this->connections_.retiming());
  EXPECT_EQ(this->wait(4'999), Indexes{});
  EXPECT_EQ(this->wait(1), Indexes{index});
}

TYPED_TEST(ConnectionsTest, ScanVisitsEachConnectionOnceInBoundedSteps) {
  std::set<uint32_t> expected;
  for (int i = 0; i < 50; ++i) expected.insert(this->open());
  for (const uint32_t index : {0u, 7u, 49u}) {
    this->connections_.close(index);
    expected.erase(index);
  }
  std::multiset<uint32_t> seen;
  uint32_t cursor = 0;
  int steps = 0;
  for (; cursor != no_flow; ++steps) {
    cursor = this->connections_.scan(cursor, 8, [&](uint32_t index, const auto&) {
      seen.insert(index);
      if (index % 2 == 0) this->connections_.close(index);
    });
  }
  EXPECT_EQ(steps, 7);
  EXPECT_EQ(seen, std::multiset<uint32_t>(expected.begin(), expected.end()));
  EXPECT_EQ(this->connections_.size(), 23u);
  EXPECT_EQ(this->connections_.scan(1'000'000, 8, [](uint32_t, const auto&) { FAIL(); }), no_flow);
}

TYPED_TEST(ConnectionsTest, ExpireStaysWithinItsBudget) {
  for (uint32_t i = 0; i < this->flows_max; ++i) {
    if (i % 2 == 0) this->open();
    if (i % 2 == 1) this->open(protocol_udp);
  }
  this->now_ += 10'000;
  uint32_t removed = 0;
  for (int call = 0; call < 16; ++call) {
    EXPECT_LE(this->connections_.expire(this->now_, 5, [&](const auto&) { ++removed; }), 5u);
  }
  EXPECT_EQ(removed, this->flows_max);
}

}  // namespace
}  // namespace sluice::flow

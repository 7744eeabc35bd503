#include "dataplane/flow/flow_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "tests/dataplane/flow/support.h"

namespace sluice::flow {
namespace {

template <typename Tuple>
struct Fixture {
  Fixture(uint32_t flows_max, Random& random)
      : memory(FlowTable<Tuple>::memory_bytes(flows_max)),
        table(memory.span(), flows_max, random_key(random)) {}

  uint32_t insert(const Tuple& client, const Tuple& backend, uint8_t protocol = protocol_tcp) {
    const uint32_t index = table.insert(client, table.hash(client, protocol), backend,
                                        table.hash(backend, protocol), protocol);
    if (index != no_flow) table[index].state = FlowState::tcp_established;
    return index;
  }

  FlowMatch find(const Tuple& tuple, uint8_t protocol = protocol_tcp) const {
    const uint64_t hash = table.hash(tuple, protocol);
    table.prefetch_bucket(hash);
    table.prefetch_record(hash);
    return table.find(tuple, protocol, hash);
  }

  Memory memory;
  FlowTable<Tuple> table;
};

template <typename Tuple>
class FlowTableTest : public testing::Test {
 protected:
  Random random_{test_seed()};
};

using Families = testing::Types<Tuple4, Tuple6>;
TYPED_TEST_SUITE(FlowTableTest, Families);

TYPED_TEST(FlowTableTest, FindsBothDirectionsAndNothingElse) {
  Fixture<TypeParam> fixture(100, this->random_);
  const auto client = random_tuple<TypeParam>(this->random_);
  const auto backend = random_tuple<TypeParam>(this->random_);
  EXPECT_EQ(fixture.find(client).index, no_flow);
  const uint32_t index = fixture.insert(client, backend);
  ASSERT_NE(index, no_flow);
  EXPECT_EQ(fixture.find(client).index, index);
  EXPECT_EQ(fixture.find(client).direction, Direction::from_client);
  EXPECT_EQ(fixture.find(backend).index, index);
  EXPECT_EQ(fixture.find(backend).direction, Direction::from_backend);
  EXPECT_EQ(fixture.find(client, protocol_udp).index, no_flow);
  auto neighbour = client;
  neighbour.destination_port ^= 1;
  EXPECT_EQ(fixture.find(neighbour).index, no_flow);
  fixture.table.erase(index);
  EXPECT_EQ(fixture.find(client).index, no_flow);
  EXPECT_EQ(fixture.find(backend).index, no_flow);
  EXPECT_EQ(fixture.table.size(), 0u);
}

TYPED_TEST(FlowTableTest, TheSameTupleOfTwoProtocolsIsTwoFlows) {
  Fixture<TypeParam> fixture(100, this->random_);
  const auto client = random_tuple<TypeParam>(this->random_);
  const auto backend = random_tuple<TypeParam>(this->random_);
  const uint32_t tcp = fixture.insert(client, backend, protocol_tcp);
  const uint32_t udp = fixture.insert(client, backend, protocol_udp);
  ASSERT_NE(tcp, udp);
  EXPECT_EQ(fixture.find(client, protocol_tcp).index, tcp);
  EXPECT_EQ(fixture.find(backend, protocol_udp).index, udp);
}

TYPED_TEST(FlowTableTest, ReplyTupleInUseIsRefused) {
  Fixture<TypeParam> fixture(100, this->random_);
  const auto backend = random_tuple<TypeParam>(this->random_);
  const uint32_t first = fixture.insert(random_tuple<TypeParam>(this->random_), backend);
  EXPECT_EQ(fixture.insert(random_tuple<TypeParam>(this->random_), backend), no_flow);
  EXPECT_EQ(fixture.table.size(), 1u);
  EXPECT_EQ(fixture.find(backend).index, first);
}

TYPED_TEST(FlowTableTest, NewRecordHoldsItsKeyAndZeros) {
  Fixture<TypeParam> fixture(1, this->random_);
  const auto client = random_tuple<TypeParam>(this->random_);
  const auto backend = random_tuple<TypeParam>(this->random_);
  uint32_t index = fixture.insert(client, backend);
  std::memset(reinterpret_cast<std::byte*>(&fixture.table[index]) + 2 * sizeof(TypeParam) + 8, 0xff,
              sizeof(FlowRecord<TypeParam>) - 2 * sizeof(TypeParam) - 8);
  fixture.table.erase(index);
  index = fixture.table.insert(client, fixture.table.hash(client, protocol_udp), backend,
                               fixture.table.hash(backend, protocol_udp), protocol_udp);
  const auto& record = fixture.table[index];
  EXPECT_EQ(record.from_client, client);
  EXPECT_EQ(record.from_backend, backend);
  EXPECT_EQ(record.protocol, protocol_udp);
  EXPECT_EQ(record.flags, 0);
  EXPECT_EQ(record.backend, 0);
  EXPECT_EQ(record.incarnation, 0u);
  EXPECT_EQ(record.last_seen_tick, 0u);
}

TYPED_TEST(FlowTableTest, FlowPastTheCapacityIsRefused) {
  Fixture<TypeParam> fixture(3, this->random_);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(fixture.insert(random_tuple<TypeParam>(this->random_),
                             random_tuple<TypeParam>(this->random_)),
              no_flow);
  }
  EXPECT_EQ(fixture.insert(random_tuple<TypeParam>(this->random_),
                           random_tuple<TypeParam>(this->random_)),
            no_flow);
  EXPECT_EQ(fixture.table.collisions(), 0u);
  fixture.table.erase(1);
  EXPECT_EQ(fixture.insert(random_tuple<TypeParam>(this->random_),
                           random_tuple<TypeParam>(this->random_)),
            1u);
}

/// Fills to the last record, finds everything, then replaces flows at full load.
template <typename Tuple>
void fill_and_churn(uint32_t flows_max, uint32_t churn, Random& random) {
  Fixture<Tuple> fixture(flows_max, random);
  std::vector<std::pair<Tuple, Tuple>> flows(flows_max);
  for (uint32_t i = 0; i < flows_max; ++i) {
    flows[i] = {random_tuple<Tuple>(random), random_tuple<Tuple>(random)};
    ASSERT_EQ(fixture.insert(flows[i].first, flows[i].second), i) << "of " << flows_max;
  }
  for (uint32_t round = 0; round < churn; ++round) {
    const auto index = static_cast<uint32_t>(random() % flows_max);
    fixture.table.erase(index);
    flows[index] = {random_tuple<Tuple>(random), random_tuple<Tuple>(random)};
    ASSERT_EQ(fixture.insert(flows[index].first, flows[index].second), index);
  }
  EXPECT_EQ(fixture.table.size(), flows_max);
  EXPECT_EQ(fixture.table.collisions(), 0u);
  for (uint32_t i = 0; i < flows_max; ++i) {
    ASSERT_EQ(fixture.find(flows[i].first).index, i);
    ASSERT_EQ(fixture.find(flows[i].second).index, i);
    ASSERT_EQ(fixture.find(flows[i].second).direction, Direction::from_backend);
    ASSERT_EQ(fixture.find(random_tuple<Tuple>(random)).index, no_flow);
  }
  std::printf("%u flows: %.2f %% of entries in their second bucket, %.4f %% of inserts moved one\n",
              flows_max, 50.0 * static_cast<double>(fixture.table.overflowed()) / flows_max,
              100.0 * static_cast<double>(fixture.table.displaced()) / (flows_max + churn));
  for (uint32_t i = 0; i < flows_max; ++i) fixture.table.erase(i);
  ASSERT_EQ(fixture.table.overflowed(), 0u);
  for (uint32_t i = 0; i < flows_max; ++i) ASSERT_EQ(fixture.find(flows[i].first).index, no_flow);
  // An index without a trace left behind: it fills to the last record once more.
  for (uint32_t i = 0; i < flows_max; ++i) {
    ASSERT_NE(fixture.insert(flows[i].second, flows[i].first), no_flow);
  }
}

TYPED_TEST(FlowTableTest, TinyTablesFill) {
  for (uint32_t flows_max = 1; flows_max <= 64; ++flows_max) {
    fill_and_churn<TypeParam>(flows_max, 500, this->random_);
  }
}

TYPED_TEST(FlowTableTest, Fills1k) {
  for (int round = 0; round < 20; ++round) fill_and_churn<TypeParam>(1'000, 5'000, this->random_);
}

TYPED_TEST(FlowTableTest, Fills64k) {
  fill_and_churn<TypeParam>(64 * 1024, 200'000, this->random_);
}

TYPED_TEST(FlowTableTest, Fills1M) {
  fill_and_churn<TypeParam>(1024 * 1024, 1'000'000, this->random_);
}

TYPED_TEST(FlowTableTest, NumberedTuplesSpreadAsWellAsRandomOnes) {
  constexpr uint32_t flows_max = 64 * 1024;
  Fixture<TypeParam> fixture(flows_max, this->random_);
  for (uint32_t i = 0; i < flows_max; ++i) {
    ASSERT_EQ(fixture.insert(numbered_tuple<TypeParam>(i / 256, static_cast<uint16_t>(i % 256)),
                             numbered_tuple<TypeParam>(0xffff'ffff, static_cast<uint16_t>(i))),
              i);
  }
}

TEST(FlowTable, MemoryIsWhatTheReadmeSays) {
  const auto per_flow = [](size_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  EXPECT_LE(per_flow(FlowTable<Tuple4>::memory_bytes(1 << 20)), 84.1);
  EXPECT_LE(per_flow(FlowTable<Tuple6>::memory_bytes(1 << 20)), 148.1);
}

}  // namespace
}  // namespace sluice::flow

#include "ctrl/runtime/operation_table.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::ctrl {
namespace {

TEST(OperationTable, AStaleIdNeverFindsANewerOperation) {
  OperationTable table;
  const OperationId first = table.add({.fd = 1});
  EXPECT_NE(first, 0u);
  ASSERT_NE(table.find(first), nullptr);
  EXPECT_EQ(table.take(first).fd, 1);
  EXPECT_EQ(table.find(first), nullptr);
  const OperationId second = table.add({.fd = 2});
  EXPECT_NE(second, first);
  EXPECT_EQ(second & 0xffff'ffff, first & 0xffff'ffff) << "the slot is used again";
  EXPECT_EQ(table.find(first), nullptr);
  ASSERT_NE(table.find(second), nullptr);
  EXPECT_EQ(table.find(second)->fd, 2);
}

TEST(OperationTable, IdsStayClearOfZeroAndOfTimers) {
  OperationTable table;
  std::set<OperationId> seen;
  for (int i = 0; i < 100'000; ++i) {
    const OperationId id = table.add({});
    ASSERT_NE(id, 0u);
    ASSERT_EQ(id >> 63, 0u);
    ASSERT_TRUE(seen.insert(id).second);
    table.take(id);
  }
  EXPECT_EQ(table.size(), 0u);
}

TEST(OperationTable, UnknownIdsFindNothing) {
  OperationTable table;
  EXPECT_EQ(table.find(0), nullptr);
  EXPECT_EQ(table.find(uint64_t{1} << 32 | 1), nullptr);
  const OperationId id = table.add({});
  EXPECT_EQ(table.find(id + 1), nullptr);
  EXPECT_EQ(table.ids(), std::vector{id});
}

}  // namespace
}  // namespace sluice::ctrl

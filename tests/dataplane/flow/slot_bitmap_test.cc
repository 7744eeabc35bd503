#include "dataplane/flow/slot_bitmap.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tests/dataplane/flow/support.h"

namespace sluice::flow {
namespace {

uint32_t next_by_hand(const std::set<uint32_t>& slots, uint32_t from) {
  if (slots.empty()) return SlotBitmap::none;
  const auto found = slots.lower_bound(from);
  return found == slots.end() ? *slots.begin() : *found;
}

class SlotBitmapSizes : public testing::TestWithParam<uint32_t> {};

TEST_P(SlotBitmapSizes, FindsTheNextSlotLikeASortedSet) {
  const uint32_t slots = GetParam();
  Random random(test_seed());
  std::vector<uint64_t> words(SlotBitmap::words(slots));
  SlotBitmap bitmap(words.data(), slots);
  std::set<uint32_t> expected;
  for (int round = 0; round < 100'000; ++round) {
    const auto slot = static_cast<uint32_t>(random() % slots);
    if (random() % 100 < 48) {
      bitmap.set(slot);
      expected.insert(slot);
    } else if (!expected.empty()) {
      const uint32_t victim = next_by_hand(expected, slot);
      bitmap.clear(victim);
      expected.erase(victim);
    }
    const auto from = static_cast<uint32_t>(random() % slots);
    ASSERT_EQ(bitmap.next(from), next_by_hand(expected, from)) << "from " << from;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, SlotBitmapSizes, testing::Values(64, 128, 4096, 8192, 131'072));

}  // namespace
}  // namespace sluice::flow

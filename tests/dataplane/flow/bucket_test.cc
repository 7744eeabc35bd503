#include "dataplane/flow/bucket.h"

#include <gtest/gtest.h>

#include "tests/dataplane/flow/support.h"

namespace sluice::flow {
namespace {

TEST(Bucket, VectorCompareEqualsItsScalarTwin) {
  Random random(test_seed());
  Bucket bucket{};
  for (int round = 0; round < 200'000; ++round) {
    // Few different tags, so that none, one and many match; entries that look like tags.
    for (uint16_t& tag : bucket.tags) tag = static_cast<uint16_t>(random() % 8);
    for (BucketEntry& entry : bucket.entries) {
      entry = static_cast<uint32_t>(random() % 8) * 0x0001'0001u;
    }
    const auto tag = static_cast<uint16_t>(random() % 8);
    ASSERT_EQ(match_tags(bucket, tag), match_tags_scalar(bucket, tag));
  }
}

TEST(Bucket, EverySlotMatchesAlone) {
  for (unsigned slot = 0; slot < Bucket::slots; ++slot) {
    Bucket bucket{};
    bucket.tags[slot] = 0xffff;
    EXPECT_EQ(first_slot(match_tags(bucket, 0xffff)), slot);
    EXPECT_EQ(std::popcount(match_tags(bucket, 0xffff)), 1);
    EXPECT_EQ(std::popcount(match_tags(bucket, 0)), 9);
  }
}

TEST(Bucket, EntriesAndCountsAreNotTakenForTags) {
  Bucket bucket{};
  bucket.entries.fill(0x1234'1234);
  bucket.occupied = 0x1234;
  bucket.overflow = 0x1234;
  EXPECT_EQ(match_tags(bucket, 0x1234), 0u);
}

}  // namespace
}  // namespace sluice::flow

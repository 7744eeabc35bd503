#include "dataplane/forward/burst.h"

#include <gtest/gtest.h>

#include "tests/dataplane/base/test_seed.h"

namespace sluice::forward {
namespace {

// Packets beyond the burst's size hold the verdicts of earlier bursts.
TEST(Burst, FindsPacketsByVerdictAsItsTwinDoes) {
  auto random = test::test_random();
  Burst burst;
  for (int round = 0; round < 20'000; ++round) {
    burst.size = static_cast<uint32_t>(random() % (burst_packets_max + 1));
    const uint64_t kinds = 1 + random() % verdict_count;
    for (Verdict& verdict : burst.verdicts) verdict = static_cast<Verdict>(random() % kinds);
    uint32_t all = 0;
    for (size_t verdict = 0; verdict < verdict_count; ++verdict) {
      const uint32_t packets = burst.packets_with(static_cast<Verdict>(verdict));
      ASSERT_EQ(packets, burst.packets_with_scalar(static_cast<Verdict>(verdict)));
      ASSERT_EQ(all & packets, 0u);
      all |= packets;
    }
    ASSERT_EQ(all, burst.received());
  }
}

TEST(Burst, HandsPacketsOn) {
  Burst burst;
  burst.size = 3;
  burst.verdicts.fill(Verdict::to_backend);
  burst.hand_on(1, 7);
  EXPECT_FALSE(burst.is_handed_on(0));
  EXPECT_TRUE(burst.is_handed_on(1));
  EXPECT_EQ(burst.owners[1], 7);
  EXPECT_EQ(burst.packets_with(Verdict::none), burst.handed_on);
  burst.clear();
  EXPECT_FALSE(burst.is_handed_on(1));
}

}  // namespace
}  // namespace sluice::forward

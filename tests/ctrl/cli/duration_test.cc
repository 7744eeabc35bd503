#include "ctrl/cli/duration.h"

#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

using std::chrono::milliseconds;

TEST(Duration, KnowsEveryUnit) {
  EXPECT_EQ(parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(parse_duration("30s"), milliseconds(30'000));
  EXPECT_EQ(parse_duration("10m"), milliseconds(600'000));
  EXPECT_EQ(parse_duration("2h"), milliseconds(7'200'000));
  EXPECT_EQ(parse_duration("0s"), milliseconds(0));
}

TEST(Duration, RefusesWhatIsNotOne) {
  for (const char* text :
       {"", "s", "30", "30 s", "-1s", "1.5s", "30sec", "1d", "721h", "99999999999999999999h"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, TakesThirtyDaysAtMost) {
  EXPECT_EQ(parse_duration("720h"), milliseconds(2'592'000'000));
}

}  // namespace
}  // namespace sluice::cli

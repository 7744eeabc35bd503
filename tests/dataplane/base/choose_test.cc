#include "dataplane/base/choose.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace sluice {
namespace {

TEST(Choose, TakesTheFirstWhenTrue) {
  EXPECT_EQ(choose(true, uint8_t{200}, uint8_t{3}), 200);
  EXPECT_EQ(choose(false, uint8_t{200}, uint8_t{3}), 3);
  EXPECT_EQ(choose(true, ~uint64_t{0}, uint64_t{1}), ~uint64_t{0});
  EXPECT_EQ(choose(false, ~uint64_t{0}, uint64_t{1}), 1u);
}

TEST(Choose, ChoosesPlaces) {
  int yes = 1;
  int no = 2;
  EXPECT_EQ(choose(true, &yes, &no), &yes);
  EXPECT_EQ(choose(false, &yes, &no), &no);
}

}  // namespace
}  // namespace sluice

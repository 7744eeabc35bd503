#include "dataplane/base/verdict.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice {
namespace {

TEST(Verdict, HasOneNameAndOneDispositionEach) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < verdict_count; ++i) {
    const auto verdict = static_cast<Verdict>(i);
    EXPECT_TRUE(names.insert(verdict_name(verdict)).second) << verdict_name(verdict);
    EXPECT_EQ(disposition_of(verdict) == Disposition::none, verdict == Verdict::none);
  }
  EXPECT_EQ(verdict_name(Verdict::to_backend), "to_backend");
  EXPECT_EQ(disposition_of(Verdict::to_client), Disposition::forward);
  EXPECT_EQ(disposition_of(Verdict::not_virtual), Disposition::punt);
  EXPECT_EQ(disposition_of(Verdict::no_device), Disposition::drop);
}

}  // namespace
}  // namespace sluice

#include "ctrl/config/text_guard.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sluice::ctrl {
namespace {

std::string hazard(std::string_view text) {
  const auto error = find_hazard(text, 3);
  if (!error) return "none";
  return fmt::format("{}:{} {}", error->place.line, error->place.column, error->message);
}

std::string at(std::string_view place, std::string_view message) {
  return fmt::format("{} {}", place, message);
}

constexpr std::string_view deep = "a key has at most 3 parts between dots";
constexpr std::string_view foreign = "only strings and comments may have characters outside ASCII";
constexpr std::string_view multi_line = "a configuration has no multi-line strings";

TEST(TextGuard, FindsKeysOfTooManyParts) {
  EXPECT_EQ(hazard("a.b.c = 1"), "none");
  EXPECT_EQ(hazard("a.b.c.d = 1"), at("1:1", deep));
  EXPECT_EQ(hazard("x = 1\n  [a . b . c . d]"), at("2:4", deep));
  EXPECT_EQ(hazard("x = { y = 1, a.\"b.b\".c.'d' = 1 }"), at("1:14", deep));
  EXPECT_EQ(hazard("\"ü.ü\" = 1\n\"ü\".a.b.c = 1"), at("2:1", deep));
  EXPECT_EQ(hazard("a = \"\", b.b.b.b = 1"), at("1:9", deep));
}

TEST(TextGuard, DotsInStringsAndCommentsAreNoKeys) {
  EXPECT_EQ(hazard("# a.b.c.d.e.f\nx = \"a.b.c.d\" # 'a.b.c.d\ny = '1.2.3.4'"), "none");
  EXPECT_EQ(hazard(R"(x = "a\".b.c.d.e")"), "none");
  EXPECT_EQ(hazard(R"(x = "a\\", a.b.c.d = 1)"), at("1:12", deep));
  EXPECT_EQ(hazard("x = 'a\\'\na.b.c.d.e = 1"), at("2:1", deep));
}

TEST(TextGuard, RefusesMultiLineStrings) {
  EXPECT_EQ(hazard("x = \"\"\"\"\"\""), at("1:5", multi_line));
  EXPECT_EQ(hazard("x = 1\ny = '''a\nb'''"), at("2:5", multi_line));
  EXPECT_EQ(hazard("x = \"\" # \"\"\"\ny = ''"), "none");
  EXPECT_EQ(hazard("x = \"'''\""), "none");
}

TEST(TextGuard, RefusesForeignCharactersOutsideStringsAndComments) {
  EXPECT_EQ(hazard("grün = 1"), at("1:3", foreign));
  EXPECT_EQ(hazard("x = 1\n\u00a0y = 1"), at("2:1", foreign));
  EXPECT_EQ(hazard("x = \xff"), at("1:5", foreign));
  EXPECT_EQ(hazard("# grün\nx = \"grün\" # grün\n'ü' = 1"), "none");
  EXPECT_EQ(hazard("\xef\xbb\xbfx = 1"), "none");  // a byte order mark
  EXPECT_EQ(hazard("x = 1 \xef\xbb\xbf"), at("1:7", foreign));
}

TEST(TextGuard, ReadsAnyBytes) {
  EXPECT_EQ(hazard(""), "none");
  EXPECT_EQ(hazard("\""), "none");
  EXPECT_EQ(hazard("\"\\"), "none");
  EXPECT_EQ(hazard(std::string_view("\0\0\n'", 4)), "none");
}

}  // namespace
}  // namespace sluice::ctrl

#include "ctrl/config/text.h"

#include <gtest/gtest.h>

#include <array>

#include "ctrl/config/duration.h"

namespace sluice::ctrl {
namespace {

TEST(Printable, KeepsTextAndEscapesTheRest) {
  EXPECT_EQ(printable("edge-1 grün 日本 😀"), "edge-1 grün 日本 😀");
  EXPECT_EQ(printable("a\nb\tc\x1b[31m\x7f"), "a\\nb\\tc\\x1b[31m\\x7f");
  EXPECT_EQ(printable(std::string_view("\0x", 2)), "\\x00x");
}

TEST(Printable, OnlyWholeUtf8SequencesPass) {
  EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable("\xc3"), "\\xc3");                             // cut short
  EXPECT_EQ(printable("\xc0\x80"), "\\xc0\\x80");                    // overlong NUL
  EXPECT_EQ(printable("\xe0\x80\x80"), "\\xe0\\x80\\x80");           // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // past U+10FFFF
  EXPECT_EQ(printable("\xe2\x80\xae"), "\\xe2\\x80\\xae");           // turns the reading direction
  EXPECT_EQ(printable("\xc2\x85"), "\\xc2\\x85");                    // next line
}

TEST(Printable, CutsLongText) {
  EXPECT_EQ(printable(std::string(100, 'a'), 10), "aaaaaaaaaa...");
  EXPECT_EQ(printable(std::string(10, 'a'), 10), "aaaaaaaaaa");
}

TEST(Quoted, EscapesQuotes) {
  EXPECT_EQ(in_quotes(R"(a"b\c)"), R"("a\"b\\c")");
  EXPECT_EQ(in_quotes(""), R"("")");
  EXPECT_LT(in_quotes(std::string(1'000'000, '"')).size(), 100u);
}

TEST(Nearest, FindsSlipsAndNothingElse) {
  constexpr std::array<std::string_view, 4> known = {"weight", "port", "ports", "address"};
  EXPECT_EQ(nearest("wieght", known), "weight");
  EXPECT_EQ(nearest("weigth", known), "weight");
  EXPECT_EQ(nearest("adress", known), "address");
  EXPECT_EQ(nearest("prot", known), "port");
  EXPECT_EQ(nearest("portss", known), "ports");
  EXPECT_EQ(nearest("colour", known), std::nullopt);
  EXPECT_EQ(nearest("", known), std::nullopt);
  EXPECT_EQ(nearest(std::string(100'000, 'w'), known), std::nullopt);
}

TEST(Duration, ParsesWhatPeopleWrite) {
  EXPECT_EQ(parse_duration_ms("500ms").value(), 500u);
  EXPECT_EQ(parse_duration_ms("10s").value(), 10'000u);
  EXPECT_EQ(parse_duration_ms("3m").value(), 180'000u);
  EXPECT_EQ(parse_duration_ms("2h").value(), 7'200'000u);
  EXPECT_EQ(parse_duration_ms("7d").value(), 604'800'000u);
  EXPECT_EQ(parse_duration_ms("0s").value(), 0u);
}

TEST(Duration, RefusesEverythingElse) {
  for (const char* text : {"", "10", "s", "-1s", "+1s", "1.5s", "1 s", " 1s", "1s ", "1S", "1us",
                           "10001d", "99999999999999999999s", "0x10s", "1s1s"}) {
    EXPECT_FALSE(parse_duration_ms(text)) << text;
  }
  EXPECT_EQ(parse_duration_ms("soon").error().message,
            "a duration is a number and ms, s, m, h or d (500ms, 10s, 2h), got \"soon\"");
}

TEST(Duration, FormatsAsShortAsItIsExact) {
  EXPECT_EQ(format_duration_ms(7'200'000), "2h");
  EXPECT_EQ(format_duration_ms(1'500), "1500ms");
  EXPECT_EQ(format_duration_ms(90'000), "90s");
  EXPECT_EQ(format_duration_ms(86'400'000), "1d");
  EXPECT_EQ(format_duration_ms(0), "0s");
  for (const uint64_t ms : {1u, 999u, 1'000u, 61'000u, 3'600'000u}) {
    EXPECT_EQ(parse_duration_ms(format_duration_ms(ms)).value(), ms);
  }
}

}  // namespace
}  // namespace sluice::ctrl

#include "dataplane/base/address.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

template <typename T>
std::string text_or_error(const Result<T>& result) {
  return result ? to_string(*result) : "error: " + result.error().message;
}

TEST(Address, PrintsIpv6AsRfc5952) {
  const std::pair<const char*, const char*> cases[] = {
      {"2001:DB8::1", "2001:db8::1"},                                // §4.3 lower case
      {"2001:0db8:0000:0000:0000:0000:0002:0001", "2001:db8::2:1"},  // §4.1, §4.2.1
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // §4.2.2 one group is not shortened
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // §4.2.3 the longest run
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // §4.2.3 the first of two equal
      {"::", "::"},
      {"::1", "::1"},
      {"ff02::1:ff00:1", "ff02::1:ff00:1"},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},  // §5
      {"10.0.0.1", "10.0.0.1"},
      {"255.255.255.255", "255.255.255.255"},
  };
  for (const auto& [text, canonical] : cases) {
    EXPECT_EQ(text_or_error(parse_ip(text)), canonical) << text;
  }
}

TEST(Address, RefusesWhatIsNoAddress) {
  for (const char* text :
       {"", "10.0.0", "10.0.0.256", "10.0.0.1.2", "010.0.0.1", " 10.0.0.1", "10.0.0.1 ",
        "10.0.0.1/24", "fe80::1%eth0", ":::", "1::2::3", "12345::", "localhost", "::ffff:300.1.1.1",
        "2001:0db8:0000:0000:0000:0000:0002:0001:0000:0000:0000:0000:0000"}) {
    EXPECT_FALSE(parse_ip(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_ip(std::string_view("10.0.0.1\0", 9)).has_value());
  EXPECT_EQ(text_or_error(parse_ip("nonsense")),
            "error: \"nonsense\" is not an IPv4 or IPv6 address");
}

TEST(Address, KeepsIpv4InTheFirstFourBytes) {
  const auto address = parse_ip("1.2.3.4");
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(address->family, Family::v4);
  const std::array<uint8_t, 16> bytes = {1, 2, 3, 4};
  EXPECT_EQ(address->bytes, bytes);
  EXPECT_EQ(address->v4_raw(), 0x04030201u);
  EXPECT_EQ(IpAddress::from_v4_raw(address->v4_raw()), *address);
}

TEST(Address, ParsesAndPrintsMac) {
  EXPECT_EQ(text_or_error(parse_mac("02:00:aB:00:0F:01")), "02:00:ab:00:0f:01");
  for (const char* text : {"", "02:00:00:00:00", "02-00-00-00-00-01", "02:00:00:00:00:0g",
                           "02:00:00:00:00:01:", "0200:0000:00:01:00"}) {
    EXPECT_FALSE(parse_mac(text).has_value()) << text;
  }
}

TEST(Address, ParsesPrefix) {
  EXPECT_EQ(text_or_error(parse_prefix("10.0.0.2/24")), "10.0.0.2/24");
  EXPECT_EQ(text_or_error(parse_prefix("10.0.0.2")), "10.0.0.2/32");
  EXPECT_EQ(text_or_error(parse_prefix("fd00::2")), "fd00::2/128");
  EXPECT_EQ(text_or_error(parse_prefix("::/0")), "::/0");
  for (const char* text : {"10.0.0.2/", "10.0.0.2/33", "10.0.0.2/-1", "10.0.0.2/+1", "10.0.0.2/08",
                           "fd00::/129", "/24", "10.0.0.2/24/8", "10.0.0.2/ 8", "10.0.0.2/99999"}) {
    EXPECT_FALSE(parse_prefix(text).has_value()) << text;
  }
}

TEST(Address, PrefixContainsExactlyItsNetwork) {
  const auto contains = [](const char* prefix, const char* address) {
    return parse_prefix(prefix)->contains(*parse_ip(address));
  };
  EXPECT_TRUE(contains("10.1.2.3/24", "10.1.2.255"));
  EXPECT_FALSE(contains("10.1.2.3/24", "10.1.3.0"));
  EXPECT_TRUE(contains("10.1.2.3/23", "10.1.3.0"));
  EXPECT_TRUE(contains("10.1.2.128/25", "10.1.2.129"));
  EXPECT_FALSE(contains("10.1.2.128/25", "10.1.2.127"));
  EXPECT_TRUE(contains("10.1.2.3", "10.1.2.3"));
  EXPECT_FALSE(contains("10.1.2.3", "10.1.2.2"));
  EXPECT_TRUE(contains("0.0.0.0/0", "255.255.255.255"));
  EXPECT_FALSE(contains("0.0.0.0/0", "::1"));
  EXPECT_TRUE(contains("::/0", "2001:db8::1"));
  EXPECT_TRUE(contains("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(contains("2001:db8::1/128", "2001:db8::1"));
  EXPECT_FALSE(contains("2001:db8::1/128", "2001:db8::2"));
}

TEST(Address, ParsesEndpoint) {
  EXPECT_EQ(text_or_error(parse_endpoint("10.0.0.1:80")), "10.0.0.1:80");
  EXPECT_EQ(text_or_error(parse_endpoint("[FD00::1]:65535")), "[fd00::1]:65535");
  for (const char* text : {"10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:080",
                           "10.0.0.1:http", "fd00::1:80", "[10.0.0.1]:80", "[fd00::1]", "[]:80",
                           "[fd00::1]80", ":80", "", "10.0.0.1:-5", "10.0.0.1:+5"}) {
    EXPECT_FALSE(parse_endpoint(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace sluice

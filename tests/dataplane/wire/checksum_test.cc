#include "dataplane/wire/checksum.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/dataplane/base/test_seed.h"
#include "tests/dataplane/wire/packet_builder.h"

namespace sluice::wire {
namespace {

using test::Bytes;

TEST(Checksum, SumsTheExampleOfRfc1071) {  // §3
  const Bytes bytes = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(swap16(fold(sum_bytes(bytes))), 0xddf2);
}

TEST(Checksum, EqualsTheNaiveSumAtEverySizeAndAlignment) {
  auto random = test::test_random();
  Bytes bytes(200);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  for (size_t start = 0; start < 9; ++start) {
    for (size_t size = 0; size + start <= bytes.size(); ++size) {
      const std::span<const uint8_t> part(bytes.data() + start, size);
      ASSERT_EQ(swap16(fold(sum_bytes(part))), test::naive_sum(part)) << start << " " << size;
    }
  }
}

TEST(Checksum, FoldsEveryCarry) {
  EXPECT_EQ(fold(0), 0);
  EXPECT_EQ(fold(0xffff), 0xffff);
  EXPECT_EQ(fold(0x1'0000), 1);
  EXPECT_EQ(fold(0xffff'ffff), 0xffff);
  EXPECT_EQ(fold(0xffff'ffff'ffff'ffff), 0xffff);
  EXPECT_EQ(fold(0x1'0000'0000), 1);
  EXPECT_EQ(fold(0xffff'fffe'0001'ffff), 0xffff);
  const Bytes ones(64, 0xff);
  EXPECT_EQ(fold(sum_bytes(ones)), 0xffff);
}

TEST(Checksum, UpdatesTheExampleOfRfc1624) {  // §4: 0xdd2f, 0x5555 becomes 0x3285
  ChecksumDelta delta;
  delta.replace16(0x5555, 0x3285);
  EXPECT_EQ(delta.apply(0xdd2f), 0x0000);
}

TEST(Checksum, IncrementalEqualsFull) {
  auto random = test::test_random();
  for (int i = 0; i < 200'000; ++i) {
    // Few distinct values, so that sums of 0 and 0xffff come up often.
    std::array<uint16_t, 6> words;
    constexpr uint16_t corners[] = {0, 1, 0xfffe, 0xffff, 0x8000};
    for (uint16_t& word : words) {
      word = random() % 2 == 0 ? corners[random() % 5] : static_cast<uint16_t>(random());
    }
    words[0] |= 0x100;  // as in every real packet, the sum is never 0: the version, the protocol
    const auto bytes = std::bit_cast<std::array<uint8_t, 12>>(words);
    const uint16_t before = finish_checksum(sum_bytes(bytes));
    auto changed = words;
    ChecksumDelta delta;
    changed[2] = corners[random() % 5];
    delta.replace16(words[2], changed[2]);
    changed[4] = static_cast<uint16_t>(random());
    changed[5] = corners[random() % 5];
    delta.replace32(uint32_t{words[5]} << 16 | words[4], uint32_t{changed[5]} << 16 | changed[4]);
    const auto after = std::bit_cast<std::array<uint8_t, 12>>(changed);
    ASSERT_EQ(delta.apply(before), finish_checksum(sum_bytes(after)));
  }
}

// Addresses are replaced 8 and 16 bytes at a time: their carries must come round.
TEST(Checksum, WideIncrementalEqualsFull) {
  auto random = test::test_random();
  const auto word = [&] {
    constexpr uint64_t corners[] = {0, 1, ~uint64_t{0}, ~uint64_t{0} - 1, uint64_t{1} << 63};
    return random() % 2 == 0 ? corners[random() % 5] : random();
  };
  for (int i = 0; i < 200'000; ++i) {
    std::array<uint64_t, 4> words = {word() | 1, word(), word(), word()};
    const auto before = std::bit_cast<std::array<uint8_t, 32>>(words);
    const uint16_t old = finish_checksum(sum_bytes(before));
    const uint64_t first_words = words[0];
    for (size_t at = 1; at < 4; ++at) words[at] = word();
    words[0] = (first_words & ~uint64_t{0xffff}) | ((first_words & 0xffff) - 1);
    if (std::ranges::all_of(words, [](uint64_t value) { return value == 0; })) continue;
    const auto after = std::bit_cast<std::array<uint8_t, 32>>(words);
    ChecksumDelta delta;
    delta.decrement16();
    delta.replace64(load<uint64_t>(before.data() + 8), load<uint64_t>(after.data() + 8));
    delta.replace128(before.data() + 16, after.data() + 16);
    ASSERT_EQ(delta.apply(old), finish_checksum(sum_bytes(after)));
  }
}

TEST(Checksum, HeaderSumFoldsToTheSumOfItsBytes) {
  auto random = test::test_random();
  for (int i = 0; i < 200'000; ++i) {
    std::array<uint32_t, 5> words;
    for (uint32_t& word : words) {
      word = random() % 2 == 0 ? 0u - static_cast<uint32_t>(random() % 2)
                               : static_cast<uint32_t>(random());
    }
    const auto bytes = std::bit_cast<std::array<uint8_t, 20>>(words);
    ASSERT_EQ(fold(sum_ipv4_header(bytes.data())), fold(sum_bytes(bytes)));
  }
}

TEST(Checksum, PseudoHeaderEqualsTheNaiveOne) {
  const IpAddress a4 = *parse_ip("192.0.2.1"), b4 = *parse_ip("198.51.100.255");
  EXPECT_EQ(swap16(fold(pseudo_header_sum(a4.v4_raw(), b4.v4_raw(), 6, 1'480))),
            test::naive_pseudo_sum({a4.bytes.data(), 4}, {b4.bytes.data(), 4}, 6, 1'480));
  const IpAddress a6 = *parse_ip("2001:db8::1"), b6 = *parse_ip("fd00:ffff::2");
  EXPECT_EQ(swap16(fold(pseudo_header_sum(a6.bytes, b6.bytes, 58, 70'000))),
            test::naive_pseudo_sum(a6.bytes, b6.bytes, 58, 70'000));
}

}  // namespace
}  // namespace sluice::wire

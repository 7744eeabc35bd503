#include "dataplane/base/aes_hash.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <random>
#include <set>
#include <vector>

#include "dataplane/base/aes_hash_scalar.h"
#include "tests/dataplane/base/test_seed.h"

namespace sluice {
namespace {

template <typename T>
T random_value(std::mt19937_64& random) {
  std::array<uint8_t, sizeof(T)> bytes;
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return std::bit_cast<T>(bytes);
}

TEST(AesRound, GivesTheExampleOfTheStandard) {  // FIPS 197 appendix B, round 1
  const AesState state = {0x19, 0x3d, 0xe3, 0xbe, 0xa0, 0xf4, 0xe2, 0x2b,
                          0x9a, 0xc6, 0x8d, 0x2a, 0xe9, 0xf8, 0x48, 0x08};
  const AesState key = {0xa0, 0xfa, 0xfe, 0x17, 0x88, 0x54, 0x2c, 0xb1,
                        0x23, 0xa3, 0x39, 0x39, 0x2a, 0x6c, 0x76, 0x05};
  const AesState expected = {0xa4, 0x9c, 0x7f, 0xf2, 0x68, 0x9f, 0x35, 0x2b,
                             0x6b, 0x5b, 0xea, 0x43, 0x02, 0x6a, 0x50, 0x49};
  EXPECT_EQ(aes_round(state, key), expected);
}

TEST(AesHash, EqualsItsScalarTwin) {
  auto random = test::test_random();
  for (int i = 0; i < 5'000; ++i) {
    const auto key = random_value<HashKey>(random);
    const AesHash hash(key);
    const AesHashScalar twin(key);
    const auto v4 = random_value<Tuple4>(random);
    const auto v6 = random_value<Tuple6>(random);
    const auto protocol = static_cast<uint8_t>(random());
    ASSERT_EQ(hash(v4, protocol), twin(v4, protocol));
    ASSERT_EQ(hash(v6, protocol), twin(v6, protocol));
  }
}

/// (chi² - degrees of freedom) / its standard deviation: about normal for a uniform spread.
double chi_square_sigmas(const std::vector<uint32_t>& counts, double total) {
  const double expected = total / static_cast<double>(counts.size());
  double chi = 0;
  for (const uint32_t count : counts) chi += (count - expected) * (count - expected) / expected;
  const double freedom = static_cast<double>(counts.size()) - 1;
  return (chi - freedom) / std::sqrt(2 * freedom);
}

constexpr uint32_t keys_count = 1 << 20;

/// Spreads keys over 65,536 buckets by the low bits, by bits 16..31 and by a 16-bit tag on top.
void expect_uniform(const std::function<uint64_t(uint32_t)>& hash_of) {
  std::vector<uint32_t> low(65'536), middle(65'536), tags(65'536);
  for (uint32_t i = 0; i < keys_count; ++i) {
    const uint64_t hash = hash_of(i);
    ++low[hash & 0xffff];
    ++middle[hash >> 16 & 0xffff];
    ++tags[hash >> 48];
  }
  EXPECT_LT(std::abs(chi_square_sigmas(low, keys_count)), 5);
  EXPECT_LT(std::abs(chi_square_sigmas(middle, keys_count)), 5);
  EXPECT_LT(std::abs(chi_square_sigmas(tags, keys_count)), 5);
}

TEST(AesHash, SpreadsKeysThatDifferInFewBits) {
  auto random = test::test_random();
  const AesHash hash(random_value<HashKey>(random));
  // 16 addresses with 65,536 ports each: one NAT gateway's clients at one listener.
  expect_uniform([&](uint32_t i) {
    return hash(Tuple4{0x000a + (i >> 16 << 24), 0x6400'000a, static_cast<uint16_t>(i), 80}, 6);
  });
  // A million neighbouring addresses with one port.
  expect_uniform([&](uint32_t i) { return hash(Tuple4{i, 0x6400'000a, 4242, 80}, 17); });
  expect_uniform([&](uint32_t i) {
    Tuple6 tuple;
    tuple.source = {0xfd};
    store(tuple.source.data() + 12, i);
    return hash(tuple, 6);
  });
  expect_uniform([&](uint32_t i) {
    Tuple6 tuple;
    tuple.destination[15] = static_cast<uint8_t>(i >> 16);
    tuple.source_port = static_cast<uint16_t>(i);
    return hash(tuple, 6);
  });
}

TEST(AesHash, TagSaysNothingAboutTheBucket) {
  auto random = test::test_random();
  const AesHash hash(random_value<HashKey>(random));
  std::vector<uint32_t> joint(65'536);  // 8 bits of the bucket beside 8 bits of the tag
  for (uint32_t i = 0; i < keys_count; ++i) {
    const uint64_t value = hash(Tuple4{i, 1, 2, 3}, 6);
    ++joint[(value & 0xff) << 8 | value >> 56];
  }
  EXPECT_LT(std::abs(chi_square_sigmas(joint, keys_count)), 5);
}

/// Each input bit flips each output bit in about half of all cases.
template <typename Tuple>
void expect_avalanche() {
  auto random = test::test_random();
  constexpr int samples = 2'000;
  for (size_t bit = 0; bit < sizeof(Tuple) * 8; ++bit) {
    std::array<int, 64> flips{};
    for (int i = 0; i < samples; ++i) {
      const AesHash hash(random_value<HashKey>(random));
      const auto tuple = random_value<Tuple>(random);
      auto bytes = std::bit_cast<std::array<uint8_t, sizeof(Tuple)>>(tuple);
      bytes[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
      const uint64_t change = hash(tuple, 6) ^ hash(std::bit_cast<Tuple>(bytes), 6);
      for (size_t out = 0; out < 64; ++out) flips[out] += change >> out & 1;
    }
    const double sigma = std::sqrt(samples) / 2;
    for (const int count : flips) ASSERT_LT(std::abs(count - samples / 2), 6 * sigma) << bit;
  }
}

TEST(AesHash, EveryInputBitReachesEveryOutputBit) {
  expect_avalanche<Tuple4>();
  expect_avalanche<Tuple6>();
}

TEST(AesHash, DependsOnKeyProtocolAndDirection) {
  const AesHash one(HashKey{{1}});
  const AesHash two(HashKey{{2}});
  const Tuple4 tuple = {1, 2, 3, 4};
  EXPECT_NE(one(tuple, 6), two(tuple, 6));
  EXPECT_NE(one(tuple, 6), one(tuple, 17));
  EXPECT_NE(one(tuple, 6), one(Tuple4{2, 1, 4, 3}, 6));
  Tuple6 forth, back;
  forth.source[0] = back.destination[0] = 7;
  EXPECT_NE(one(forth, 6), one(back, 6));
}

// See the test of that name in hash_test.cc.
TEST(AesHash, SeesEveryStoreToTheTuple) {
  const AesHash hash(HashKey{{9}});
  std::set<uint64_t> seen;
  for (uint32_t i = 0; i < 20'000; ++i) {
    Tuple4 v4;
    v4.source = i;
    v4.destination_port = static_cast<uint16_t>(i);
    seen.insert(hash(v4, 6));
    Tuple6 v6;
    v6.destination_port = static_cast<uint16_t>(i);
    seen.insert(hash(v6, 6));
  }
  EXPECT_EQ(seen.size(), 40'000u);
}

}  // namespace
}  // namespace sluice

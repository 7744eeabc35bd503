#include "dataplane/base/hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <vector>

#include "dataplane/base/byte_order.h"

namespace sluice {
namespace {

HashKey counting_key() {
  HashKey key;
  for (size_t i = 0; i < key.bytes.size(); ++i) key.bytes[i] = static_cast<uint8_t>(i);
  return key;
}

// The inputs 00, 00 01, 00 01 02 ... under the key 00 01 .. 0f: appendix A of the paper (length 15)
// and the vectors that its authors publish beside it.
TEST(SipHash, GivesThePapersVectors) {
  const std::pair<size_t, uint64_t> vectors[] = {
      {0, 0x726fdb47dd0e0e31},  {1, 0x74f839c593dc67fd},  {2, 0x0d6c8009d9a94f5a},
      {3, 0x85676696d7fb7e2d},  {4, 0xcf2794e0277187b7},  {5, 0x18765564cd99a68d},
      {6, 0xcbc9466e58fee3ce},  {7, 0xab0200f58b01d137},  {8, 0x93f5f5799a932462},
      {15, 0xa129ca6149be45e5}, {63, 0x958a324ceb064572},
  };
  std::array<uint8_t, 64> input;
  std::iota(input.begin(), input.end(), uint8_t{0});
  for (const auto& [size, expected] : vectors) {
    EXPECT_EQ(siphash24(counting_key(), {input.data(), size}), expected) << size;
  }
}

TEST(DecisionHash, IsSipHashOfTheTuplesBytesAndTheProtocol) {
  const Tuple4 v4 = {0x04030201, 0x08070605, 0x0a09, 0x0c0b};
  std::vector<uint8_t> bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 6};
  EXPECT_EQ(decision_hash(counting_key(), v4, 6), siphash24(counting_key(), bytes));

  Tuple6 v6;
  bytes.clear();
  for (uint8_t i = 0; i < 36; ++i) bytes.push_back(static_cast<uint8_t>(i * 3));
  std::copy_n(bytes.begin(), 16, v6.source.begin());
  std::copy_n(bytes.begin() + 16, 16, v6.destination.begin());
  v6.source_port = load<uint16_t>(bytes.data() + 32);
  v6.destination_port = load<uint16_t>(bytes.data() + 34);
  bytes.push_back(17);
  EXPECT_EQ(decision_hash(counting_key(), v6, 17), siphash24(counting_key(), bytes));
}

TEST(DecisionHash, DependsOnTheKey) {
  HashKey other = counting_key();
  other.bytes[15] ^= 0x80;
  EXPECT_NE(decision_hash(counting_key(), Tuple4{}, 6), decision_hash(other, Tuple4{}, 6));
  EXPECT_NE(decision_hash(counting_key(), Tuple6{}, 6), decision_hash(other, Tuple6{}, 6));
}

// A hash that reads the tuple through a pointer of another type lets a compiler that trusts strict
// aliasing drop the stores: then these hashes would repeat. This file is built to provoke it.
TEST(DecisionHash, SeesEveryStoreToTheTuple) {
  std::set<uint64_t> seen;
  for (uint32_t i = 0; i < 20'000; ++i) {
    Tuple4 tuple;
    tuple.source = i;
    tuple.destination = 1;
    tuple.source_port = static_cast<uint16_t>(i * 7);
    tuple.destination_port = 80;
    seen.insert(decision_hash(counting_key(), tuple, 6));
  }
  EXPECT_EQ(seen.size(), 20'000u);
}

}  // namespace
}  // namespace sluice

#include "dataplane/wire/toeplitz.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "dataplane/base/byte_order.h"
#include "tests/dataplane/base/test_seed.h"

namespace sluice::wire {
namespace {

struct Vector {
  const char* destination;
  const char* source;
  uint32_t hash;
};

Tuple4 tuple4(const Vector& vector) {
  const Endpoint source = *parse_endpoint(vector.source);
  const Endpoint destination = *parse_endpoint(vector.destination);
  return {source.address.v4_raw(), destination.address.v4_raw(), swap16(source.port),
          swap16(destination.port)};
}

Tuple6 tuple6(const Vector& vector) {
  const Endpoint source = *parse_endpoint(vector.source);
  const Endpoint destination = *parse_endpoint(vector.destination);
  return {source.address.bytes, destination.address.bytes, swap16(source.port),
          swap16(destination.port)};
}

// "Verifying the RSS Hash Calculation", Windows driver documentation: with ports.
constexpr Vector vectors4[] = {
    {"161.142.100.80:1766", "66.9.149.187:2794", 0x51ccc178},
    {"65.69.140.83:4739", "199.92.111.2:14230", 0xc626b0ea},
    {"12.22.207.184:38024", "24.19.198.95:12898", 0x5c2b394a},
    {"209.142.163.6:2217", "38.27.205.30:48228", 0xafc7327f},
    {"202.188.127.2:1303", "153.39.163.191:44251", 0x10e828a2},
};
constexpr Vector vectors6[] = {
    {"[3ffe:2501:200:3::1]:1766", "[3ffe:2501:200:1fff::7]:2794", 0x40207d3d},
    {"[ff02::1]:4739", "[3ffe:501:8::260:97ff:fe40:efab]:14230", 0xdde51bbf},
    {"[fe80::200:f8ff:fe21:67cf]:38024", "[3ffe:1900:4545:3:200:f8ff:fe21:67cf]:44251", 0x02d1feef},
};

TEST(Toeplitz, GivesMicrosoftsVectors) {
  const auto toeplitz = std::make_unique<Toeplitz>(microsoft_rss_key);
  for (const Vector& vector : vectors4) EXPECT_EQ(toeplitz->hash(tuple4(vector)), vector.hash);
  for (const Vector& vector : vectors6) EXPECT_EQ(toeplitz->hash(tuple6(vector)), vector.hash);
}

/// The definition: for each set bit of the input, the 32 key bits that begin at its position.
uint32_t bitwise(std::span<const uint8_t> key, std::span<const uint8_t> input) {
  const auto key_bit = [&](size_t at) { return uint32_t{key[at / 8]} >> (7 - at % 8) & 1; };
  uint32_t hash = 0;
  for (size_t bit = 0; bit < input.size() * 8; ++bit) {
    if (!(input[bit / 8] >> (7 - bit % 8) & 1)) continue;
    uint32_t window = 0;
    for (size_t i = 0; i < 32; ++i) window = window << 1 | key_bit(bit + i);
    hash ^= window;
  }
  return hash;
}

TEST(Toeplitz, EqualsItsDefinitionUnderAnyKey) {
  auto random = test::test_random();
  for (const size_t key_bytes : {40, 52}) {
    std::vector<uint8_t> key(key_bytes);
    for (uint8_t& byte : key) byte = static_cast<uint8_t>(random());
    const auto toeplitz = std::make_unique<Toeplitz>(key);
    for (int i = 0; i < 200; ++i) {
      std::array<uint8_t, 36> input;
      for (uint8_t& byte : input) byte = static_cast<uint8_t>(random());
      EXPECT_EQ(toeplitz->hash(std::bit_cast<Tuple6>(input)), bitwise(key, input));
      EXPECT_EQ(toeplitz->hash(load<Tuple4>(input.data())), bitwise(key, {input.data(), 12}));
    }
  }
}

TEST(Toeplitz, PortPartTurnsOnePortIntoAnother) {
  const auto toeplitz = std::make_unique<Toeplitz>(microsoft_rss_key);
  const auto check = [&]<typename Tuple>(Tuple tuple) {
    tuple.destination_port = 0;
    const uint32_t without = toeplitz->hash(tuple);
    for (uint32_t port = 0; port < 65'536; ++port) {
      tuple.destination_port = static_cast<uint16_t>(port);
      const uint32_t part = toeplitz->destination_port_part<Tuple>(tuple.destination_port);
      ASSERT_EQ(toeplitz->hash(tuple), without ^ part);
    }
  };
  check(tuple4(vectors4[0]));
  check(tuple6(vectors6[0]));
}

}  // namespace
}  // namespace sluice::wire

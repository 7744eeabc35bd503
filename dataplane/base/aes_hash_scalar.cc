#include "dataplane/base/aes_hash_scalar.h"

#include <bit>

namespace sluice {
namespace {

/// Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197 §4.2).
constexpr uint8_t multiply(uint8_t a, uint8_t b) {
  uint8_t product = 0;
  for (; b != 0; b >>= 1) {
    if (b & 1) product ^= a;
    a = static_cast<uint8_t>((a << 1) ^ ((a & 0x80) ? 0x1b : 0));
  }
  return product;
}

/// SubBytes: the multiplicative inverse (x^254), then the affine map of FIPS 197 §5.1.1.
constexpr std::array<uint8_t, 256> make_sbox() {
  std::array<uint8_t, 256> sbox{};
  for (int value = 0; value < 256; ++value) {
    uint8_t inverse = 1;
    auto power = static_cast<uint8_t>(value);
    for (int exponent = 254; exponent != 0; exponent /= 2) {
      if (exponent % 2 == 1) inverse = multiply(inverse, power);
      power = multiply(power, power);
    }
    uint8_t mapped = 0x63;
    for (int turn = 0; turn <= 4; ++turn) mapped ^= std::rotl(inverse, turn);
    sbox[static_cast<size_t>(value)] = mapped;
  }
  return sbox;
}

constexpr std::array<uint8_t, 256> sbox = make_sbox();

AesState exclusive_or(const AesState& a, const AesState& b) {
  AesState result;
  for (size_t i = 0; i < a.size(); ++i) result[i] = a[i] ^ b[i];
  return result;
}

uint64_t low_half(const AesState& state) { return load<uint64_t>(state.data()); }

}  // namespace

AesState aes_round(const AesState& state, const AesState& round_key) {
  AesState result;
  for (size_t column = 0; column < 4; ++column) {
    std::array<uint8_t, 4> in;
    for (size_t row = 0; row < 4; ++row) in[row] = sbox[state[(column + row) % 4 * 4 + row]];
    for (size_t row = 0; row < 4; ++row) {
      result[column * 4 + row] =
          static_cast<uint8_t>(multiply(in[row], 2) ^ multiply(in[(row + 1) % 4], 3) ^
                               in[(row + 2) % 4] ^ in[(row + 3) % 4]);
    }
  }
  return exclusive_or(result, round_key);
}

uint64_t AesHashScalar::operator()(const Tuple4& tuple, uint8_t protocol) const {
  AesState state{};
  std::memcpy(state.data(), &tuple, sizeof(tuple));
  state[12] = protocol;
  state = exclusive_or(state, keys_.words[0]);
  for (size_t round = 1; round <= 3; ++round) state = aes_round(state, keys_.words[round]);
  return low_half(state);
}

uint64_t AesHashScalar::operator()(const Tuple6& tuple, uint8_t protocol) const {
  const auto& key = keys_.words;
  AesState ports{};
  std::memcpy(ports.data(), &tuple.source_port, 2);
  std::memcpy(ports.data() + 2, &tuple.destination_port, 2);
  ports[4] = protocol;
  const auto two_rounds = [](const AesState& in, const AesState& first, const AesState& second) {
    return aes_round(aes_round(in, first), second);
  };
  const AesState a = two_rounds(exclusive_or(tuple.source, key[0]), key[3], key[4]);
  const AesState b = two_rounds(exclusive_or(tuple.destination, key[1]), key[4], key[5]);
  const AesState c = two_rounds(exclusive_or(ports, key[2]), key[5], key[3]);
  return low_half(two_rounds(exclusive_or(exclusive_or(a, b), c), key[6], key[7]));
}

}  // namespace sluice

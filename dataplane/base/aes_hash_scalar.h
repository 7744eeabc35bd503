// The scalar twin of AesHash: the same hash from tables of bytes. It defines what the intrinsics
// must compute; tests hold the two together. Not for the packet path.
#pragma once

#include <cstdint>

#include "dataplane/base/aes_hash.h"

namespace sluice {

using AesState = std::array<uint8_t, 16>;

/// One AES encryption round (FIPS 197 §5.1: SubBytes, ShiftRows, MixColumns, AddRoundKey), the
/// columns laid out as AESENC has them.
AesState aes_round(const AesState& state, const AesState& round_key);

class AesHashScalar {
 public:
  explicit AesHashScalar(const HashKey& key) : keys_(key) {}
  uint64_t operator()(const Tuple4& tuple, uint8_t protocol) const;
  uint64_t operator()(const Tuple6& tuple, uint8_t protocol) const;

 private:
  AesHashKeys keys_;
};

}  // namespace sluice

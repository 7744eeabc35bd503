// Keyed hashes. SipHash-2-4 chooses pools and backends: the same key gives the same answer on
// every worker and node. The AES hash spreads flow-table buckets under a key drawn at start.
// Pure; any thread. The key is never a constant: it comes from config or the state directory.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/base/tuple.h"

namespace sluice {

struct HashKey {
  std::array<uint8_t, 16> bytes{};
  bool operator==(const HashKey&) const = default;
};

/// SipHash-2-4 of `data` (Aumasson and Bernstein, 2012).
uint64_t siphash24(const HashKey& key, std::span<const uint8_t> data);

/// The hash behind a decision: SipHash-2-4 over the tuple's bytes and the protocol.
uint64_t decision_hash(const HashKey& key, const Tuple4& tuple, uint8_t protocol);
uint64_t decision_hash(const HashKey& key, const Tuple6& tuple, uint8_t protocol);

}  // namespace sluice

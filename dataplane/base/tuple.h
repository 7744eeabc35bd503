// The 5-tuple as the flow table and the hashes see it: addresses and ports exactly as they
// lie in the packet (network order), the protocol beside it. POD; any thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>

#include "dataplane/base/address.h"

namespace sluice {

inline constexpr uint8_t protocol_tcp = 6;
inline constexpr uint8_t protocol_udp = 17;

struct Tuple4 {
  uint32_t source = 0;
  uint32_t destination = 0;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  bool operator==(const Tuple4&) const = default;
  static constexpr Family family = Family::v4;
};
static_assert(sizeof(Tuple4) == 12);

struct Tuple6 {
  std::array<uint8_t, 16> source{};
  std::array<uint8_t, 16> destination{};
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  bool operator==(const Tuple6&) const = default;
  static constexpr Family family = Family::v6;
};
static_assert(sizeof(Tuple6) == 36);

inline IpAddress ip_address(uint32_t raw) { return IpAddress::from_v4_raw(raw); }
inline IpAddress ip_address(const std::array<uint8_t, 16>& raw) { return IpAddress::from_v6(raw); }

}  // namespace sluice

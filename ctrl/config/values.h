// Values that several sections share: names, addresses, keys. Each reports a bad value and then
// returns nothing. Used by the read_*.cc files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "ctrl/config/reader.h"
#include "dataplane/base/address.h"
#include "dataplane/base/hash.h"

namespace sluice::ctrl {

inline constexpr size_t name_bytes_max = 63;

/// Letters, digits, ".", "_", "-": safe in metrics, file names and on command lines.
std::optional<std::string> read_name(const Value& value);
/// An address that a machine can have on a wire: unicast, not loopback, not link-local.
std::optional<IpAddress> read_host_address(const Value& value);
/// A host's address within its network, "10.0.0.2/24".
std::optional<Prefix> read_interface_address(const Value& value);
/// A network, "10.0.0.0/8"; host bits must be zero. An address alone is a network of one.
std::optional<Prefix> read_network(const Value& value);
std::optional<HashKey> read_hash_key(const Value& value);
/// "8000-8100", both ends included.
std::optional<std::pair<uint16_t, uint16_t>> read_port_range(const Value& value);

std::string_view family_name(Family family);  // "IPv4"

}  // namespace sluice::ctrl

// Both ends of a bulk transfer over a blocking TCP socket.
#pragma once

#include <cstdint>
#include <optional>

#include "tests/e2e/tools/payload.h"

namespace sluice::e2e {

/// Sends `bytes` of stream `seed`; the digest of what was sent, nothing when the peer went away.
std::optional<Digest> send_stream(int fd, uint64_t bytes, uint64_t seed);

/// Receives exactly `bytes`; the digest of what came, nothing when the peer closed early.
std::optional<Digest> receive_stream(int fd, uint64_t bytes);

bool send_all(int fd, std::span<const uint8_t> bytes);
bool receive_all(int fd, std::span<uint8_t> into);

}  // namespace sluice::e2e

// SHA-256 (FIPS 180-4) by OpenSSL's libcrypto. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace sluice::ctrl {

inline constexpr size_t sha256_hex_bytes = 64;

/// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view bytes);

}  // namespace sluice::ctrl

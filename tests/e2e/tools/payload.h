// Payloads of the transfer tests: a stream that depends on seed and position, so that a lost,
// doubled or moved byte shows, and SHA-256 over what was sent and what arrived.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>

namespace sluice::e2e {

/// splitmix64 (Steele, Lea, Flood 2014): word `index` of stream `seed`.
inline uint64_t stream_word(uint64_t seed, uint64_t index) {
  uint64_t word = seed + (index + 1) * 0x9e3779b97f4a7c15u;
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
  word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
  return word ^ (word >> 31);
}

/// Fills `into` with the bytes of stream `seed` from `offset` on; `offset` is a multiple of 8.
inline void fill_stream(uint64_t seed, uint64_t offset, std::span<uint8_t> into) {
  for (size_t done = 0; done < into.size(); done += 8) {
    const uint64_t word = stream_word(seed, (offset + done) / 8);
    std::memcpy(&into[done], &word, std::min<size_t>(8, into.size() - done));
  }
}

using Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void add(std::span<const uint8_t> bytes) {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  }
  Digest finish() {
    Digest digest{};
    EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr);
    return digest;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

inline std::string to_hex(const Digest& digest) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : digest) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

/// What a bulk client asks first; both ends run on the same machine, hence no byte order.
struct BulkRequest {
  char operation = 0;  // 'P': the client sends `bytes`; 'G': the server does
  char padding[7] = {};
  uint64_t bytes = 0;
  uint64_t seed = 0;
};
static_assert(sizeof(BulkRequest) == 24);

}  // namespace sluice::e2e

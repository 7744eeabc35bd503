#include "tests/e2e/tools/transfer.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace sluice::e2e {
namespace {

constexpr size_t chunk_bytes = 256 * 1024;

}  // namespace

bool send_all(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(sent));
  }
  return true;
}

bool receive_all(int fd, std::span<uint8_t> into) {
  while (!into.empty()) {
    const ssize_t received = recv(fd, into.data(), into.size(), 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    into = into.subspan(static_cast<size_t>(received));
  }
  return true;
}

std::optional<Digest> send_stream(int fd, uint64_t bytes, uint64_t seed) {
  std::vector<uint8_t> buffer(chunk_bytes);
  Sha256 hash;
  for (uint64_t done = 0; done < bytes;) {
    const std::span<uint8_t> chunk(buffer.data(), std::min<uint64_t>(chunk_bytes, bytes - done));
    fill_stream(seed, done, chunk);
    hash.add(chunk);
    if (!send_all(fd, chunk)) return std::nullopt;
    done += chunk.size();
  }
  return hash.finish();
}

std::optional<Digest> receive_stream(int fd, uint64_t bytes) {
  std::vector<uint8_t> buffer(chunk_bytes);
  Sha256 hash;
  for (uint64_t done = 0; done < bytes;) {
    const ssize_t received =
        recv(fd, buffer.data(), std::min<uint64_t>(chunk_bytes, bytes - done), 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return std::nullopt;
    hash.add({buffer.data(), static_cast<size_t>(received)});
    done += static_cast<uint64_t>(received);
  }
  return hash.finish();
}

}  // namespace sluice::e2e

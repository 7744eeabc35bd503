#include "ctrl/control/peer.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace sluice::ctrl {
namespace {

std::unexpected<Error> socket_failure(const std::string& path, const char* what) {
  return fail(fmt::format("control socket {}: {}: {}", path, what, std::strerror(errno)));
}

Status remove_dead_socket(const std::string& path, const sockaddr_un& address) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return socket_failure(path, "cannot look at it");
  }
  if (!S_ISSOCK(found.st_mode)) {
    return fail(fmt::format("control socket {}: something else lies there; remove it", path));
  }
  UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return socket_failure(path, "cannot open a socket");
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  // EAGAIN is a listener whose backlog is full: alive all the same.
  if (::connect(probe.get(), to, sizeof(address)) == 0 || errno == EAGAIN) {
    return fail(fmt::format("control socket {}: another sluiced listens on it", path));
  }
  if (errno != ECONNREFUSED) return socket_failure(path, "cannot tell whether it is in use");
  if (::unlink(path.c_str()) != 0) return socket_failure(path, "cannot remove the old one");
  return {};
}

/// The supplementary groups of the peer; none when the kernel does not say.
std::vector<uint32_t> peer_groups(int fd) {
  std::vector<uint32_t> groups(64);
  socklen_t bytes = static_cast<socklen_t>(groups.size() * sizeof(uint32_t));
  int asked = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
  if (asked != 0 && errno == ERANGE) {  // `bytes` tells what is needed
    groups.resize(bytes / sizeof(uint32_t));
    asked = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
  }
  groups.resize(asked == 0 ? bytes / sizeof(uint32_t) : 0);
  return groups;
}

}  // namespace

std::string user_name(uid_t uid) {
  std::vector<char> space(16 * 1024);
  passwd entry{};
  passwd* found = nullptr;
  const bool known = ::getpwuid_r(uid, &entry, space.data(), space.size(), &found) == 0;
  return known && found != nullptr ? found->pw_name : std::to_string(uid);
}

Author peer_author(int fd) {
  ucred credentials{};
  socklen_t bytes = sizeof(credentials);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) {
    return {.user = "unknown", .uid = ~0u, .pid = 0};
  }
  return {.user = user_name(credentials.uid),
          .uid = credentials.uid,
          .pid = credentials.pid,
          .gid = credentials.gid,
          .groups = peer_groups(fd)};
}

Result<UniqueFd> listen_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return fail(fmt::format("control socket {}: a path has 1 to {} bytes", path,
                            sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto parent = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return fail(fmt::format("cannot create {}: {}", parent.string(), error.message()));
  if (auto removed = remove_dead_socket(path, address); !removed) {
    return std::unexpected(removed.error());
  }
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return socket_failure(path, "cannot open a socket");
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return socket_failure(path, "cannot bind");
  }
  // Nobody can connect before listen(), so the mode is right from the first connection on.
  if (::chmod(path.c_str(), 0660) != 0) return socket_failure(path, "cannot set its mode");
  if (::listen(fd.get(), 1024) != 0) return socket_failure(path, "cannot listen");
  return fd;
}

}  // namespace sluice::ctrl

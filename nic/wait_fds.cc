#include "nic/wait_fds.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>

namespace sluice::nic {
namespace {

std::vector<int> open_fds() {
  std::vector<int> fds;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const std::string name = entry.path().filename();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    if (fd >= 0) fds.push_back(fd);
  }
  // The listing was open itself; its number may be the next one to be given out.
  std::erase_if(fds, [](int fd) { return fcntl(fd, F_GETFD) == -1; });
  std::ranges::sort(fds);
  return fds;
}

bool is_socket_of(int fd, int domain) {
  int found = 0;
  socklen_t bytes = sizeof(found);
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &found, &bytes) == 0 && found == domain;
}

bool is_tun(int fd) {
  std::array<char, 64> target{};
  const ssize_t length =
      readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), target.data(), target.size());
  return length > 0 &&
         std::string_view(target.data(), static_cast<size_t>(length)) == "/dev/net/tun";
}

bool is_kind(int fd, FdKind kind) {
  switch (kind) {
    case FdKind::xdp_socket:
      return is_socket_of(fd, AF_XDP);
    case FdKind::packet_socket:
      return is_socket_of(fd, AF_PACKET);
    case FdKind::tun:
      return is_tun(fd);
    case FdKind::none:
      return false;
  }
  return false;
}

}  // namespace

WaitFds::WaitFds(FdKind kind) : kind_(kind) {
  if (kind != FdKind::none) before_ = open_fds();
}

std::vector<int> WaitFds::opened() const {
  std::vector<int> fds;
  if (kind_ == FdKind::none) return fds;
  for (const int fd : open_fds()) {
    if (!std::ranges::binary_search(before_, fd) && is_kind(fd, kind_)) fds.push_back(fd);
  }
  return fds;
}

void close_leaked_xdp_socket(int fd) {
  if (is_socket_of(fd, AF_XDP)) close(fd);
}

}  // namespace sluice::nic

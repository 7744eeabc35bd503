#include "tests/e2e/tools/sockets.h"

#include <arpa/inet.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace sluice::e2e {

void die(const std::string& what) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

SocketAddress make_address(const std::string& address, uint16_t port) {
  SocketAddress made;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&made.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&made.storage);
  if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    made.bytes = sizeof(*v4);
  } else if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    made.bytes = sizeof(*v6);
  } else {
    std::fprintf(stderr, "not an address: %s\n", address.c_str());
    std::exit(2);
  }
  return made;
}

uint16_t local_port(int fd) {
  sockaddr_storage own{};
  socklen_t bytes = sizeof(own);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &bytes) != 0) return 0;
  return own.ss_family == AF_INET ? ntohs(reinterpret_cast<sockaddr_in*>(&own)->sin_port)
                                  : ntohs(reinterpret_cast<sockaddr_in6*>(&own)->sin6_port);
}

int open_socket(const SocketAddress& like, int type) {
  const int fd = socket(like.family(), type | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  const int on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) die("SO_REUSEADDR");
  return fd;
}

int open_server(const SocketAddress& at, int type) {
  const int fd = open_socket(at, type);
  if (bind(fd, at.get(), at.bytes) != 0) die("bind");
  if ((type & 0xf) == SOCK_STREAM && listen(fd, 1024) != 0) die("listen");
  return fd;
}

uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) die("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) die("setrlimit");
}

}  // namespace sluice::e2e

// Small socket helpers of the test tools: addresses of both families, bound sockets, the clock.
// Whatever cannot fail on a sane machine ends the tool with a message.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace sluice::e2e {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

/// "10.0.0.1" or "fd00::1"; ends the tool when `address` is neither.
SocketAddress make_address(const std::string& address, uint16_t port);

/// The port of a bound or connected socket's own end.
uint16_t local_port(int fd);

/// A socket of `type` (SOCK_STREAM, SOCK_DGRAM, plus flags), with SO_REUSEADDR.
int open_socket(const SocketAddress& like, int type);

/// Bound and, for SOCK_STREAM, listening. Ends the tool when the address cannot be had.
int open_server(const SocketAddress& at, int type);

/// CLOCK_MONOTONIC: the same in every namespace of the machine.
uint64_t now_ns();

[[noreturn]] void die(const std::string& what);  // appends strerror(errno)

/// Lifts RLIMIT_NOFILE to its hard limit.
void raise_file_limit();

}  // namespace sluice::e2e

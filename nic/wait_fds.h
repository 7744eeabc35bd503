// WaitFds: finds the kernel fds behind a device's RX queues. DPDK keeps them to itself, so the
// process's fds are listed before and after the driver makes them. Only while ports are opened
// by one thread; fds that other threads open meanwhile are told apart by their kind.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::nic {

enum class FdKind : uint8_t { none, xdp_socket, packet_socket, tun };

class WaitFds {
 public:
  /// Lists the fds that are open now.
  explicit WaitFds(FdKind kind);

  /// The fds of this kind opened since, in ascending order, which is the order of creation.
  std::vector<int> opened() const;

 private:
  FdKind kind_;
  std::vector<int> before_;
};

/// Closes an XDP socket that its driver has left open; nothing when it is closed already. (The
/// AF_XDP driver of DPDK 22.11 does, and the kernel would keep the interface's queue taken.)
void close_leaked_xdp_socket(int fd);

}  // namespace sluice::nic

// Interface: what the kernel says about one of its network interfaces, for devices that stand on
// one (AF_XDP, AF_PACKET). System calls only, no DPDK; looks in the caller's network namespace.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/base/address.h"
#include "dataplane/base/result.h"

namespace sluice::nic {

struct InterfaceInfo {
  std::string name;
  unsigned index = 0;
  bool up = false;       // administratively
  bool running = false;  // and the link is there
  uint16_t mtu = 0;
  unsigned rx_queues = 1;
  unsigned combined_queues = 0;  // queues that are RX and TX in one; 0: the driver has none (veth)
  std::string driver;            // "veth", "ixgbe", ...; empty when it does not say
  MacAddress mac;
};

/// The error is one phrase: "no such interface".
Result<InterfaceInfo> read_interface(const std::string& name);

/// Keeps an interface in all-multicast mode while it lives, also when the process is killed:
/// neighbour discovery comes to multicast MACs that nobody else asked the interface to take.
class AllMulticast {
 public:
  AllMulticast() = default;
  explicit AllMulticast(unsigned interface_index);
  ~AllMulticast();
  AllMulticast(AllMulticast&& other) noexcept;
  AllMulticast& operator=(AllMulticast&& other) noexcept;

 private:
  int fd_ = -1;
};

}  // namespace sluice::nic

// A kernel network interface as Sluice sets it up: link, addresses, sysctls, by rtnetlink.
// Calls take effect before they return. Loop thread only.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "ctrl/runtime/netlink.h"
#include "dataplane/base/address.h"
#include "dataplane/base/result.h"

namespace sluice::ctrl {

class Interface {
 public:
  Interface(NetlinkSocket& netlink, std::string name, int index);

  /// Sets the MAC address and MTU (L3 bytes), then brings the interface up.
  Status bring_up(const MacAddress& mac, uint16_t mtu);

  /// Makes `addresses` the ones that Sluice keeps here: adds the missing, removes those that an
  /// earlier call added. What others added stays, the IPv6 link-local address included. A prefix
  /// as long as the address is a virtual address: usable at once and never picked by itself as
  /// the source of a connection (IPv6: deprecated). Goes on after an error and tells the first.
  Status set_addresses(const std::vector<Prefix>& addresses);

  /// What the kernel says the interface has now.
  Result<std::set<Prefix>> addresses() const;

  /// Answers ARP only for addresses of this interface, takes no router advertisements or
  /// redirects, checks source addresses loosely. Returns what could not be set (a container may
  /// forbid it), empty when all is well.
  std::vector<std::string> harden() const;

  const std::string& name() const { return name_; }
  int index() const { return index_; }

 private:
  int change_address(const Prefix& address, bool add);

  NetlinkSocket& netlink_;
  std::string name_;
  int index_;
  std::set<Prefix> managed_;
};

}  // namespace sluice::ctrl

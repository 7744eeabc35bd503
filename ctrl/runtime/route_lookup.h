// Which way the kernel would send a packet to an address. Answers at once. Loop thread only.
#pragma once

#include <string>

#include "ctrl/runtime/netlink.h"
#include "dataplane/base/address.h"

namespace sluice::ctrl {

struct RouteAnswer {
  bool unicast = false;  // there is a route, and it leads out of the node
  int ifindex = 0;       // of the interface it leaves by
  IpAddress via;         // the gateway, or the address itself when it is on the link
  std::string trouble;   // why there is none: "no route (Network is unreachable)"
  bool operator==(const RouteAnswer&) const = default;
};

/// The kernel's own choice (RTM_GETROUTE): policy rules, multipath and next-hop objects included.
RouteAnswer look_up_route(NetlinkSocket& netlink, const IpAddress& destination);

/// The destination of a route message, for telling whom a change concerns.
Prefix route_destination(const nlmsghdr& message);

}  // namespace sluice::ctrl

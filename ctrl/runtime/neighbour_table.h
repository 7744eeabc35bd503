// NeighbourTable: the kernel's ARP and ND entries on a few interfaces, mirrored. Filled by
// load(), kept by apply(). Loop thread only.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "ctrl/runtime/netlink.h"
#include "dataplane/base/address.h"

namespace sluice::ctrl {

struct NeighbourKey {
  int ifindex = 0;
  IpAddress address;
  auto operator<=>(const NeighbourKey&) const = default;
};

class NeighbourTable {
 public:
  struct Change {
    NeighbourKey key;
    std::optional<MacAddress> before;  // what find() said
    std::optional<MacAddress> after;   // what it says now
  };

  NeighbourTable(NetlinkSocket& netlink, std::set<int> interfaces);

  /// Forgets everything and asks the kernel for all of it. 0 or -errno.
  int load();
  /// Takes in a neighbour message; nothing when it is not about these interfaces.
  std::optional<Change> apply(const nlmsghdr& message);

  /// The MAC address of a neighbour that frames may be sent to (REACHABLE, STALE, DELAY, PROBE,
  /// PERMANENT, NOARP); nothing while it is unknown, incomplete or failed.
  std::optional<MacAddress> find(const NeighbourKey& key) const;

  /// An operator has set it (PERMANENT, NOARP). Not to be asked for: NTF_USE would make it an
  /// ordinary entry.
  bool is_static(const NeighbourKey& key) const;

  /// Has the kernel resolve the neighbour, or confirm it once it is stale, as if a packet had to
  /// be sent there (NTF_USE). 0 or -errno.
  int ask(const NeighbourKey& key);

 private:
  struct Entry {
    uint16_t state = 0;  // NUD_*
    std::optional<MacAddress> mac;
  };
  int load_family(uint8_t family);

  NetlinkSocket& netlink_;
  std::set<int> interfaces_;
  std::map<NeighbourKey, Entry> entries_;
};

}  // namespace sluice::ctrl

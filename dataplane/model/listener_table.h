// ListenerTable: the index of one family's listeners. Exact ports by open addressing; port ranges
// as a sorted list per address, looked at when no exact port matched. Built once, then read-only;
// any thread. Keys come from the configuration, so nobody outside can make a chain long.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/tuple.h"

namespace sluice::model {

inline constexpr int32_t no_listener = -1;

template <typename Tuple>
class ListenerTable {
 public:
  using Address = decltype(Tuple::destination);

  struct Entry {
    Address address{};
    uint8_t protocol = 0;
    uint16_t port_first = 0;  // host order, inclusive
    uint16_t port_last = 0;
    int32_t listener = no_listener;
  };

  /// An index without listeners.
  ListenerTable() : ListenerTable(std::vector<Entry>{}) {}
  explicit ListenerTable(std::vector<Entry> entries);

  int32_t find(const Tuple& tuple, uint8_t protocol) const {
    const uint16_t port = swap16(tuple.destination_port);
    size_t at = hash_port(tuple.destination, port, protocol) & (ports_.size() - 1);
    for (; ports_[at].listener != no_listener; at = (at + 1) & (ports_.size() - 1)) {
      const ExactPort& exact = ports_[at];
      if (exact.port == port && exact.protocol == protocol && exact.address == tuple.destination) {
        return exact.listener;
      }
    }
    return ranges_.empty() ? no_listener : find_range(tuple.destination, port, protocol);
  }

  bool contains(const Address& address) const { return find_host(address) != nullptr; }

 private:
  struct ExactPort {
    Address address{};
    uint16_t port = 0;
    uint8_t protocol = 0;
    int32_t listener = no_listener;  // no_listener: a free place
  };
  struct Range {
    uint8_t protocol = 0;
    uint16_t first = 0;
    uint16_t last = 0;
    int32_t listener = no_listener;
  };
  struct Host {
    Address address{};
    bool used = false;
    uint32_t ranges_first = 0;  // into ranges_, sorted by protocol and first port
    uint32_t ranges_count = 0;
  };

  static uint64_t fold(uint32_t address) { return address; }
  static uint64_t fold(const std::array<uint8_t, 16>& address) {
    return load<uint64_t>(address.data()) * 0x9e37'79b9'7f4a'7c15 ^
           load<uint64_t>(address.data() + 8);
  }
  static uint64_t mix(uint64_t value) {
    value *= 0x9e37'79b9'7f4a'7c15;  // 2^64 divided by the golden ratio
    return value ^ value >> 32;
  }
  static uint64_t hash_port(const Address& address, uint16_t port, uint8_t protocol) {
    return mix(mix(fold(address)) ^ (uint64_t{port} << 8 | protocol));
  }

  const Host* find_host(const Address& address) const {
    size_t at = mix(fold(address)) & (hosts_.size() - 1);
    for (; hosts_[at].used; at = (at + 1) & (hosts_.size() - 1)) {
      if (hosts_[at].address == address) return &hosts_[at];
    }
    return nullptr;
  }

  int32_t find_range(const Address& address, uint16_t port, uint8_t protocol) const {
    const Host* host = find_host(address);
    if (host == nullptr) return no_listener;
    // The last range that begins at or before (protocol, port).
    const Range* first = ranges_.data() + host->ranges_first;
    size_t count = host->ranges_count;
    while (count > 0) {
      const size_t half = count / 2;
      const Range& middle = first[half];
      const bool is_after =
          middle.protocol != protocol ? middle.protocol > protocol : middle.first > port;
      if (is_after) {
        count = half;
      } else {
        first += half + 1;
        count -= half + 1;
      }
    }
    if (first == ranges_.data() + host->ranges_first) return no_listener;
    const Range& range = first[-1];
    return range.protocol == protocol && port <= range.last ? range.listener : no_listener;
  }

  void add_host(const Address& address, uint32_t ranges_first, uint32_t ranges_count);
  void add_port(const Entry& entry);

  std::vector<ExactPort> ports_;  // power of two, at most half full
  std::vector<Host> hosts_;       // power of two, at most half full
  std::vector<Range> ranges_;
};

}  // namespace sluice::model

// ListenerIndex: (destination address, port, protocol) → listener. Open addressing over exact
// ports, and a sorted list per address for port ranges. Immutable; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/model/listener_table.h"
#include "dataplane/model/snapshot.h"

namespace sluice::model {

class ListenerIndex {
 public:
  /// Builds the index of `listeners`; the caller has made sure that none overlap.
  static std::shared_ptr<const ListenerIndex> build(std::span<const Listener> listeners);

  /// Index into Snapshot::listeners, or no_listener.
  int32_t find(const Tuple4& tuple, uint8_t protocol) const { return v4_.find(tuple, protocol); }
  int32_t find(const Tuple6& tuple, uint8_t protocol) const { return v6_.find(tuple, protocol); }

  /// True when some listener has this destination address.
  bool is_virtual(uint32_t v4_raw) const { return v4_.contains(v4_raw); }
  bool is_virtual(const std::array<uint8_t, 16>& v6_raw) const { return v6_.contains(v6_raw); }

 private:
  ListenerIndex() = default;

  ListenerTable<Tuple4> v4_;
  ListenerTable<Tuple6> v6_;
};

}  // namespace sluice::model

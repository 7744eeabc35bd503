// ListenerIndex: (destination address, port, protocol) → listener. Open addressing over exact
// ports, and a sorted list per address for port ranges. Immutable; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/model/snapshot.h"

namespace sluice::model {

inline constexpr int32_t no_listener = -1;

class ListenerIndex {
 public:
  /// Builds the index of `listeners`; the caller has made sure that none overlap.
  static std::shared_ptr<const ListenerIndex> build(std::span<const Listener> listeners);

  /// Index into Snapshot::listeners, or no_listener.
  int32_t find(const Tuple4& tuple, uint8_t protocol) const;
  int32_t find(const Tuple6& tuple, uint8_t protocol) const;

  /// True when some listener has this destination address.
  bool is_virtual(uint32_t v4_raw) const;
  bool is_virtual(const std::array<uint8_t, 16>& v6_raw) const;

 private:
  ListenerIndex() = default;
};

}  // namespace sluice::model

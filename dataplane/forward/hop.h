// Hop: through which port and to which MAC address a packet leaves. To backends it comes from the
// snapshot (what the kernel's routes and neighbours say), to clients from the flow, which
// remembers the L2 next hop that its packets came from. Pure; one worker.
#pragma once

#include <bit>
#include <cstddef>

#include "dataplane/base/assert.h"
#include "dataplane/base/byte_order.h"
#include "dataplane/base/choose.h"
#include "dataplane/flow/flow_record.h"
#include "dataplane/model/snapshot.h"
#include "dataplane/wire/headers.h"

namespace sluice::forward {

/// A next hop in one register, laid out as model::NextHop: choosing one of two is one choice, and
/// no address is copied through memory, where the processor would wait for its own stores.
class Hop {
 public:
  explicit Hop(const model::NextHop& next) : word_(load<uint64_t>(&next)) {}

  /// The client's. A protocol is never 0, so it stands for `resolved`.
  template <typename Tuple>
  explicit Hop(const flow::FlowRecord<Tuple>& record) {
    using Record = flow::FlowRecord<Tuple>;
    constexpr size_t at = offsetof(Record, protocol);
    static_assert(offsetof(model::NextHop, resolved) == 0);
    static_assert(offsetof(Record, client_port) - at == offsetof(model::NextHop, port));
    static_assert(offsetof(Record, client_mac) - at == offsetof(model::NextHop, destination));
    word_ = load<uint64_t>(reinterpret_cast<const uint8_t*>(&record) + at);
  }

  /// One of the two, without a branch: where a packet that came from `direction` goes on to.
  template <typename Tuple>
  Hop(const model::Backend& backend, const flow::FlowRecord<Tuple>& record,
      flow::Direction direction)
      : word_(choose(direction == flow::Direction::from_client, Hop(backend.next_hop).word_,
                     Hop(record).word_)) {}

  bool resolved() const { return static_cast<uint8_t>(word_) != 0; }
  uint8_t port() const { return static_cast<uint8_t>(word_ >> 8); }
  /// The MAC address in the lower 48 bits, raw.
  uint64_t raw_mac() const { return word_ >> 16; }
  MacAddress mac() const { return std::bit_cast<model::NextHop>(word_).destination; }

  /// 0 when this is where a frame comes from that was received on `from_port`.
  uint64_t differs_from_source(const uint8_t* frame, uint8_t from_port) const {
    // The source address ends the word that begins two bytes before it.
    const uint64_t source_word = load<uint64_t>(frame + wire::ethernet::source - 2);
    return (source_word ^ word_) >> 16 | uint64_t{port() ^ uint32_t{from_port}};
  }

 private:
  uint64_t word_;
};

/// A port's own MAC address in the lower 48 bits, raw; above them stands something else.
inline uint64_t raw_mac(const model::Port& port) {
  static_assert(offsetof(model::Port, mac) == 1 && alignof(model::Port) >= sizeof(uint64_t));
  return load<uint64_t>(&port) >> 8;
}

}  // namespace sluice::forward

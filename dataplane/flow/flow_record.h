// FlowRecord: what one worker remembers of one connection; 64 bytes for IPv4, 128 for IPv6.
// Both directions share the record. Owned by one worker; nobody else reads it.
#pragma once

#include <cstdint>

#include "dataplane/base/tuple.h"

namespace sluice::flow {

inline constexpr uint32_t no_flow = 0xffff'ffff;

enum class Direction : uint8_t { from_client = 0, from_backend = 1 };

/// TCP: syn → established → closing → closed; any → closed on RST; UDP: udp_new → udp_established.
/// `reset` is a tombstone: an operator ended the flow, its packets are answered with RST.
/// The moves and the forbidden ones: tcp_state.h.
enum class FlowState : uint8_t {
  free,
  tcp_syn,
  tcp_established,
  tcp_closing,
  tcp_closed,
  udp_new,
  udp_established,
  reset,
};

enum FlowFlag : uint8_t {
  saw_client_fin = 1,
  saw_backend_fin = 2,
  saw_backend_syn = 4,    // SYN|ACK seen
  saw_rst = 8,            // closed by RST; cleared when later data proves the RST wrong
  counted_ended = 16,     // the connection does not count as active now
  rst_from_backend = 32,  // whose RST: valid with saw_rst
  backend_fin_last = 64,  // whose FIN came second: valid when both were seen
  other_side_told = 128,  // of a tombstone: both sides have been sent a RST
};

/// Cache lines are never shared between records: 64 bytes for IPv4, 128 for IPv6.
template <typename Tuple>
struct alignas(64) FlowRecord {
  Tuple from_client;   // client → virtual address
  Tuple from_backend;  // backend → SNAT address
  // These three lie as in model::NextHop: forward/hop.h.
  uint8_t protocol;
  uint8_t client_port;    // NIC port that the flow came from
  MacAddress client_mac;  // L2 next hop that the flow came from
  FlowState state;
  uint8_t flags;
  uint16_t ref;          // (route, rule, pool)
  uint16_t backend;      // id
  uint16_t rst_tick;     // low 16 bits of the tick of the RST: valid with saw_rst
  uint32_t incarnation;  // of the backend
  uint32_t revision;     // low 32 bits of the snapshot revision that decided
  uint32_t last_seen_tick;
  uint32_t expiry_tick;  // where the wheel holds it; lazily moved
  uint32_t wheel_next;
  uint32_t wheel_previous;
};
static_assert(sizeof(FlowRecord<Tuple4>) == 64);
static_assert(sizeof(FlowRecord<Tuple6>) == 128);

/// True while the connection counts as active.
template <typename Tuple>
inline bool is_active(const FlowRecord<Tuple>& record) {
  return (record.flags & counted_ended) == 0;
}

}  // namespace sluice::flow

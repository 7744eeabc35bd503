// Snapshot: everything that workers read to decide, immutable once published. Built by ctrl
// (ctrl/compile), read by every worker through a SnapshotSlot, reclaimed after all workers
// have moved on. Large tables are shared between successive snapshots when they did not change.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/hash.h"
#include "dataplane/base/tuple.h"

namespace sluice::model {

inline constexpr uint32_t slot_count = 65'536;  // slots of a pool split
inline constexpr uint32_t maglev_slots_small = 65'537;
inline constexpr uint32_t maglev_slots_large = 131'071;
inline constexpr uint32_t maglev_small_backends_max = 400;
inline constexpr uint32_t pools_per_rule_max = 255;
inline constexpr uint32_t backends_max = 65'535;  // ids 0..65534; 65535 means none
inline constexpr uint16_t no_backend = 0xffff;
inline constexpr uint32_t refs_max = 16'384;  // (route, rule, pool) identities
inline constexpr uint32_t ports_max = 32;

/// slot → index into Rule::pools. Each pool holds exactly its share (slot_table.h).
using SlotTable = std::array<uint8_t, slot_count>;

/// slot → backend id. Empty when the pool has no usable backend (maglev.h).
using MaglevTable = std::vector<uint16_t>;

enum class OnEmpty : uint8_t { reject, drop };
enum class Mode : uint8_t { nat };

/// How frames reach an address: resolved by ctrl from the kernel's routes and neighbours.
struct NextHop {
  bool resolved = false;
  uint8_t port = 0;  // index into Snapshot::ports
  MacAddress destination;
  bool operator==(const NextHop&) const = default;
};
static_assert(sizeof(NextHop) == sizeof(uint64_t));  // forward/hop.h reads it in one piece

/// A backend's slot. (id, incarnation) names it for ever: a recycled id gets a new incarnation,
/// so that an old flow never meets a new backend. Backends that left the configuration stay
/// here (`in_config == false`) while flows still use them. A cache line each: a packet reads one,
/// never two.
struct alignas(64) Backend {
  bool present = false;
  bool in_config = false;
  uint32_t incarnation = 0;
  Endpoint endpoint;
  NextHop next_hop;
};

/// A NIC port as the packet path needs it; a cache line, of which it reads the front.
struct alignas(64) Port {
  bool present = false;
  MacAddress mac;
  uint16_t mtu = 1500;            // L3 bytes
  std::vector<uint32_t> snat_v4;  // raw (network order)
  std::vector<std::array<uint8_t, 16>> snat_v6;
};

/// One weighted reference of a rule. `ref` is the counter identity of (route, rule, pool).
struct PoolRef {
  uint32_t pool = 0;  // index into Snapshot::pools
  uint32_t weight = 0;
  uint16_t ref = 0;  // < refs_max
};

struct Rule {
  std::vector<Prefix> sources;  // empty: every source
  std::vector<PoolRef> pools;
  std::shared_ptr<const SlotTable> slots;  // null when every weight is 0
};

struct Route {
  std::string name;
  std::vector<Rule> rules;  // first match wins
};

struct Pool {
  std::string name;
  OnEmpty on_empty = OnEmpty::reject;
  uint8_t active_tier = 0;
  std::shared_ptr<const MaglevTable> backends;  // never null; empty when no backend is usable
};

struct Listener {
  std::string name;
  uint8_t protocol = 0;  // protocol_tcp | protocol_udp
  Mode mode = Mode::nat;
  IpAddress address;
  uint16_t port_first = 0;  // host order, inclusive
  uint16_t port_last = 0;
  std::vector<uint32_t> routes;  // indexes into Snapshot::routes, in order
};

/// Idle timeouts in ticks (base/clock.h).
struct Timeouts {
  uint32_t tcp_syn = 100;             // 10 s: SYN seen, handshake not finished
  uint32_t tcp_established = 72'000;  // 2 h
  uint32_t tcp_closing = 600;         // 60 s: one side sent FIN
  uint32_t tcp_closed = 100;          // 10 s: both FINs, or RST
  uint32_t udp_new = 300;             // 30 s: no reply yet
  uint32_t udp_established = 1'800;   // 180 s
  bool operator==(const Timeouts&) const = default;
};

/// Ports that SNAT may use: a bitmap over 65,536, from ctrl (the kernel's own range excluded).
using SnatPortSet = std::vector<uint64_t>;

class ListenerIndex;  // listener_index.h

struct Snapshot {
  uint64_t generation = 0;  // number of the committed configuration it serves
  uint64_t revision = 0;    // +1 per publication: also health, neighbours and drains
  HashKey decision_key;
  Timeouts timeouts;
  std::vector<Listener> listeners;
  std::vector<Route> routes;
  std::vector<Pool> pools;
  std::vector<Backend> backends;  // by backend id
  std::array<Port, ports_max> ports;
  /// Per ref: connections decided before this revision are to be reset (0: none). See `switch
  /// --existing reset`. A flow whose decision revision is below this value is reset.
  std::vector<uint64_t> reset_before;          // by ref; shorter means 0
  std::shared_ptr<const ListenerIndex> index;  // never null in a published snapshot
};

}  // namespace sluice::model

// SnapshotBuilder: small snapshots for tests of the packet path, built from the model's own
// tables. Ports: 0 "front" (clients), 1 "back" (backends). Every listener gets a route of its own
// with one rule. Refs and ids count up from 0 in order of creation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/model/listener_index.h"
#include "dataplane/model/maglev.h"
#include "dataplane/model/slot_table.h"
#include "dataplane/model/snapshot.h"
#include "tests/dataplane/wire/packet_builder.h"

namespace sluice::test {

inline constexpr MacAddress front_mac{{0x02, 0, 0, 0, 0, 0x01}};
inline constexpr MacAddress back_mac{{0x02, 0, 0, 0, 0, 0x11}};
inline constexpr MacAddress client_mac{{0x02, 0, 0, 0, 0, 0x02}};
inline constexpr MacAddress backend_mac{{0x02, 0, 0, 0, 0, 0x12}};

struct WeightedRef {
  uint32_t pool = 0;
  uint32_t weight = 100;
};

class SnapshotBuilder {
 public:
  model::Snapshot snapshot;  // tests may change anything before finish()

  SnapshotBuilder() {
    snapshot.revision = 1;
    snapshot.generation = 1;
    for (size_t i = 0; i < snapshot.decision_key.bytes.size(); ++i) {
      snapshot.decision_key.bytes[i] = static_cast<uint8_t>(7 * i + 1);
    }
    set_port(0, front_mac, "10.0.0.2:1", "[fd00:1::2]:1");
    set_port(1, back_mac, "10.0.1.2:1", "[fd00:2::2]:1");
  }

  /// Endpoints of which only the addresses count.
  void set_port(unsigned id, const MacAddress& mac, std::string_view v4, std::string_view v6) {
    model::Port& port = snapshot.ports[id];
    port.present = true;
    port.mac = mac;
    port.mtu = 1500;
    port.snat_v4 = {endpoint(v4).address.v4_raw()};
    port.snat_v6 = {endpoint(v6).address.bytes};
  }

  uint16_t add_backend(std::string_view at, const MacAddress& mac = backend_mac, uint8_t port = 1) {
    model::Backend backend;
    backend.present = true;
    backend.in_config = true;
    backend.incarnation = 1;
    backend.endpoint = endpoint(at);
    backend.next_hop = {true, port, mac};
    snapshot.backends.push_back(backend);
    return static_cast<uint16_t>(snapshot.backends.size() - 1);
  }

  uint32_t add_pool(std::string name, const std::vector<uint16_t>& backends,
                    model::OnEmpty on_empty = model::OnEmpty::reject) {
    model::Pool pool;
    pool.name = std::move(name);
    pool.on_empty = on_empty;
    snapshot.pools.push_back(pool);
    const auto id = static_cast<uint32_t>(snapshot.pools.size() - 1);
    set_members(id, backends);
    return id;
  }

  void set_members(uint32_t pool, const std::vector<uint16_t>& backends) {
    std::vector<model::MaglevMember> members;
    for (const uint16_t id : backends) {
      members.push_back({id, snapshot.backends[id].endpoint, 1});
    }
    snapshot.pools[pool].backends = model::build_maglev(members);
  }

  /// Returns the listener's index; its route and rule 0 have the same one.
  uint32_t add_listener(uint8_t protocol, std::string_view at,
                        const std::vector<WeightedRef>& pools) {
    const Endpoint address = endpoint(at);
    const auto route = static_cast<uint32_t>(snapshot.routes.size());
    model::Listener listener;
    listener.name = "listener" + std::to_string(route);
    listener.protocol = protocol;
    listener.address = address.address;
    listener.port_first = listener.port_last = address.port;
    listener.routes = {route};
    snapshot.listeners.push_back(listener);
    model::Rule rule;
    for (const WeightedRef& pool : pools) rule.pools.push_back({pool.pool, pool.weight, refs_++});
    snapshot.routes.push_back({"route" + std::to_string(route), {rule}});
    set_weights(route, pools);
    return route;
  }

  void set_weights(uint32_t route, const std::vector<WeightedRef>& pools) {
    model::Rule& rule = snapshot.routes[route].rules[0];
    std::vector<model::WeightedPool> weighted;
    for (size_t i = 0; i < pools.size(); ++i) {
      rule.pools[i].weight = pools[i].weight;
      weighted.push_back({snapshot.pools[pools[i].pool].name, pools[i].weight});
    }
    rule.slots = model::build_slot_table(weighted);
  }

  /// A snapshot of what stands in the builder now; the builder goes on to the next revision.
  std::shared_ptr<const model::Snapshot> finish() {
    snapshot.index = model::ListenerIndex::build(snapshot.listeners);
    auto made = std::make_shared<const model::Snapshot>(snapshot);
    ++snapshot.revision;
    return made;
  }

 private:
  uint16_t refs_ = 0;
};

/// Two backends behind TCP and UDP listeners, IPv4 and IPv6; one pool per family.
/// Listeners, refs and routes: 0 tcp v4, 1 udp v4, 2 tcp v6, 3 udp v6.
inline SnapshotBuilder plain_net() {
  SnapshotBuilder net;
  const uint16_t a4 = net.add_backend("10.0.1.11:8080");
  const uint16_t b4 = net.add_backend("10.0.1.12:8080");
  const uint16_t a6 = net.add_backend("[fd00:2::11]:8080");
  const uint16_t b6 = net.add_backend("[fd00:2::12]:8080");
  const uint32_t pool4 = net.add_pool("blue-v4", {a4, b4});
  const uint32_t pool6 = net.add_pool("blue-v6", {a6, b6});
  net.add_listener(protocol_tcp, "10.0.0.100:80", {{pool4}});
  net.add_listener(protocol_udp, "10.0.0.100:53", {{pool4}});
  net.add_listener(protocol_tcp, "[fd00:1::100]:80", {{pool6}});
  net.add_listener(protocol_udp, "[fd00:1::100]:53", {{pool6}});
  return net;
}

}  // namespace sluice::test

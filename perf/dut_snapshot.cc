#include "perf/dut_snapshot.h"

#include <algorithm>
#include <array>
#include <string>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/tuple.h"
#include "dataplane/model/listener_index.h"
#include "dataplane/model/maglev.h"
#include "dataplane/model/slot_table.h"
#include "perf/flow_templates.h"

namespace sluice::perf {
namespace {

constexpr unsigned snat_addresses = 16;
constexpr uint16_t backend_port = 8080;
constexpr uint32_t backends_used_max = 60'000;  // ids are 16 bits: more are shared by listeners

using Raw6 = std::array<uint8_t, 16>;

Raw6 address_v6(uint8_t net, uint32_t host) {
  Raw6 raw = {0xfd, 0, 0, net};
  store_be32(raw.data() + 12, host);
  return raw;
}

IpAddress address(Family family, uint8_t net, uint32_t host) {
  if (family == Family::v6) return IpAddress::from_v6(address_v6(net, host));
  return IpAddress::from_v4_raw(swap32(10u << 24 | uint32_t{net} << 20 | host));
}

}  // namespace

DutSnapshots::DutSnapshots(const DutNet& net) : net_(net) {
  snapshot_.generation = 1;
  snapshot_.timeouts.udp_established = 6'000;  // 10 minutes: flows wait while others are measured
  for (size_t i = 0; i < snapshot_.decision_key.bytes.size(); ++i) {
    snapshot_.decision_key.bytes[i] = static_cast<uint8_t>(7 * i + 1);
  }
  if (net_.ending_ticks > 0) {
    snapshot_.timeouts.tcp_closing = snapshot_.timeouts.tcp_closed = net_.ending_ticks;
  }
  add_port(0, 0x01);
  add_port(1, 0x11);
  add_backends();
  for (uint32_t number = 0; number < net_.listeners; ++number) add_listener(number);
  snapshot_.index = model::ListenerIndex::build(snapshot_.listeners);
}

void DutSnapshots::add_port(unsigned id, uint8_t mac_last) {
  model::Port& port = snapshot_.ports[id];
  port.present = true;
  port.mac.bytes = {0x02, 0, 0, 0, 0, mac_last};
  set_snat_addresses(port, 1, 1);
}

void DutSnapshots::set_snat_addresses(model::Port& port, uint32_t first, uint32_t step) {
  port.snat_v4.clear();
  port.snat_v6.clear();
  for (uint32_t host = first; host <= snat_addresses; host += step) {
    port.snat_v4.push_back(address(Family::v4, 2, host).v4_raw());
    port.snat_v6.push_back(address_v6(2, host));
  }
}

void DutSnapshots::add_backends() {
  const uint64_t wanted = uint64_t{net_.listeners} * net_.backends;
  for (uint32_t id = 0; id < std::min<uint64_t>(wanted, backends_used_max); ++id) {
    model::Backend backend;
    backend.present = true;
    backend.in_config = true;
    backend.incarnation = 1;
    backend.endpoint = {address(net_.family, 4, 1 + id), backend_port};
    backend.next_hop = {true, 1, MacAddress{{0x02, 0, 0, 0, 0, 0x12}}};
    snapshot_.backends.push_back(backend);
  }
}

/// Every other backend of a listener, from `half` on.
uint32_t DutSnapshots::add_pool(uint32_t listener, uint32_t half) {
  std::vector<model::MaglevMember> members;
  for (uint32_t i = half; i < net_.backends; i += 2) {
    const auto id =
        static_cast<uint16_t>((uint64_t{listener} * net_.backends + i) % snapshot_.backends.size());
    members.push_back({id, snapshot_.backends[id].endpoint, 1});
  }
  model::Pool pool;
  pool.name = "pool" + std::to_string(snapshot_.pools.size());
  pool.backends = model::build_maglev(members);
  snapshot_.pools.push_back(pool);
  return static_cast<uint32_t>(snapshot_.pools.size() - 1);
}

void DutSnapshots::add_listener(uint32_t number) {
  model::Rule rule;
  for (uint32_t half = 0; half < 2; ++half) {
    rule.pools.push_back({add_pool(number, half), 50, refs_++});
  }
  snapshot_.routes.push_back({"route" + std::to_string(number), {rule}});
  model::Listener listener;
  listener.name = "listener" + std::to_string(number);
  listener.protocol = net_.protocol;
  listener.address = net_.family == Family::v4 ? IpAddress::from_v4_raw(swap32(0x0a00'0064))
                                               : address(Family::v6, 1, 0x100);
  listener.port_first = listener.port_last = static_cast<uint16_t>(listener_port_first + number);
  listener.routes = {number};
  snapshot_.listeners.push_back(listener);
}

std::shared_ptr<const model::Snapshot> DutSnapshots::next(uint32_t share) {
  ++snapshot_.revision;
  const std::vector<model::WeightedPool> weights = {{"first", share}, {"second", 100 - share}};
  const auto slots = model::build_slot_table(weights);
  for (model::Route& route : snapshot_.routes) {
    model::Rule& rule = route.rules[0];
    rule.pools[0].weight = share;
    rule.pools[1].weight = 100 - share;
    rule.slots = slots;
  }
  return std::make_shared<const model::Snapshot>(snapshot_);
}

std::shared_ptr<const model::Snapshot> DutSnapshots::next_marked() {
  const uint64_t revision = snapshot_.revision + 1;
  const bool odd = revision % 2 == 1;
  for (model::Backend& backend : snapshot_.backends) {
    backend.next_hop.destination.bytes[2] = static_cast<uint8_t>(revision >> 8);
    backend.next_hop.destination.bytes[3] = static_cast<uint8_t>(revision);
  }
  for (model::Port& port : snapshot_.ports) {
    if (port.present) set_snat_addresses(port, odd ? 1 : 2, 2);
  }
  return next(odd ? 100 : 0);
}

}  // namespace sluice::perf

// A small snapshot for tests: pools with so many equal backends, one route, one listener per
// family. Built with the product's own builders.
#pragma once

#include <string>
#include <vector>

#include "dataplane/model/listener_index.h"
#include "dataplane/model/maglev.h"
#include "dataplane/model/slot_table.h"
#include "dataplane/model/snapshot.h"

namespace sluice::test {

struct PoolSpec {
  std::string name;
  uint32_t weight = 0;
  uint16_t backends = 0;
  model::OnEmpty on_empty = model::OnEmpty::reject;
};

inline Prefix prefix(std::string_view text) { return parse_prefix(text).value(); }

/// Appends the pools to the snapshot (refs and backend ids count up) and returns a rule over them.
inline model::Rule add_rule(model::Snapshot& snapshot, const std::vector<PoolSpec>& specs,
                            std::vector<Prefix> sources = {}) {
  model::Rule rule;
  rule.sources = std::move(sources);
  std::vector<model::WeightedPool> weighted;
  for (const PoolSpec& spec : specs) {
    std::vector<model::MaglevMember> members;
    for (uint16_t i = 0; i < spec.backends; ++i) {
      const auto id = static_cast<uint16_t>(snapshot.backends.size());
      const Endpoint endpoint = {IpAddress::from_v4_raw(swap32(0x0a01'0000u + id)), 8'080};
      model::Backend backend;
      backend.present = backend.in_config = true;
      backend.endpoint = endpoint;
      snapshot.backends.push_back(backend);
      members.push_back({id, endpoint, 1});
    }
    const auto index = static_cast<uint32_t>(snapshot.pools.size());
    snapshot.pools.push_back({spec.name, spec.on_empty, 0, model::build_maglev(members)});
    rule.pools.push_back({index, spec.weight, static_cast<uint16_t>(100 + index)});
    weighted.push_back({spec.name, spec.weight});
  }
  rule.slots = model::build_slot_table(weighted);
  return rule;
}

/// Listeners 0 and 1: TCP 10.0.0.100:80 and [fd00::64]:80, on all routes that stand by now.
inline void add_listeners(model::Snapshot& snapshot) {
  std::vector<uint32_t> routes;
  for (uint32_t i = 0; i < snapshot.routes.size(); ++i) routes.push_back(i);
  for (const char* address : {"10.0.0.100", "fd00::64"}) {
    model::Listener listener;
    listener.name = address;
    listener.protocol = protocol_tcp;
    listener.address = parse_ip(address).value();
    listener.port_first = listener.port_last = 80;
    listener.routes = routes;
    snapshot.listeners.push_back(listener);
  }
  snapshot.index = model::ListenerIndex::build(snapshot.listeners);
}

/// One route with one rule over `specs`, and the two listeners.
inline model::Snapshot make_snapshot(const std::vector<PoolSpec>& specs) {
  model::Snapshot snapshot;
  for (size_t i = 0; i < 16; ++i) snapshot.decision_key.bytes[i] = static_cast<uint8_t>(i * 7 + 1);
  model::Rule rule = add_rule(snapshot, specs);
  snapshot.routes.push_back({"route", {std::move(rule)}});
  add_listeners(snapshot);
  return snapshot;
}

}  // namespace sluice::test

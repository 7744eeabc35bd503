#include "ctrl/control/explain.h"

#include <fmt/format.h>

#include "ctrl/compile/pool_status.h"
#include "ctrl/control/status_view.h"
#include "dataplane/model/decide.h"
#include "dataplane/model/listener_index.h"

namespace sluice::ctrl {
namespace {

Tuple4 tuple4(const Endpoint& source, const Endpoint& destination) {
  return {.source = source.address.v4_raw(),
          .destination = destination.address.v4_raw(),
          .source_port = swap16(source.port),
          .destination_port = swap16(destination.port)};
}

Tuple6 tuple6(const Endpoint& source, const Endpoint& destination) {
  return {.source = source.address.bytes,
          .destination = destination.address.bytes,
          .source_port = swap16(source.port),
          .destination_port = swap16(destination.port)};
}

template <typename Tuple>
int32_t find_listener(const model::Snapshot& snapshot, const Tuple& tuple, uint8_t protocol,
                      model::Decision& decision) {
  const int32_t found = snapshot.index->find(tuple, protocol);
  if (found != model::no_listener) {
    decision = model::decide(snapshot, snapshot.listeners[size_t(found)], tuple);
  } else {
    decision.verdict =
        snapshot.index->is_virtual(tuple.destination) ? Verdict::no_listener : Verdict::not_virtual;
  }
  return found;
}

std::string backend_state(const Controller& controller, const std::string& pool, uint16_t backend) {
  for (const PoolStatus& status :
       pool_status(controller.config(), controller.observed(), controller.registry())) {
    if (status.name != pool) continue;
    for (const BackendStatus& each : status.backends) {
      if (each.id == backend) return std::string(to_string(each.state));
    }
  }
  return "gone";
}

void explain_rule(const model::Snapshot& snapshot, const model::Decision& decision, Json& answer) {
  const model::Route& route = snapshot.routes[decision.route];
  const model::Rule& rule = route.rules[decision.rule];
  const model::Pool& pool = snapshot.pools[decision.pool];
  uint32_t weight = 0;
  for (const model::PoolRef& ref : rule.pools) {
    if (ref.ref == decision.ref) weight = ref.weight;
  }
  answer["route"] = route.name;
  answer["rule"] = decision.rule;
  answer["pool"] = pool.name;
  answer["weight"] = weight;
  answer["slot"] = decision.slot;
  Json& reason = answer["reason"];
  reason.push_back(fmt::format(
      "route {}: rule {} is the first that matches ({})", route.name, decision.rule,
      rule.sources.empty() ? "every source" : fmt::format("{} sources", rule.sources.size())));
  reason.push_back(fmt::format("the tuple hashes to slot {} of {}, which pool {} holds (weight {})",
                               decision.slot, model::slot_count, pool.name, weight));
}

void explain_backend(const Controller& controller, const model::Decision& decision, Json& answer) {
  const model::Snapshot& snapshot = controller.snapshot();
  const model::Pool& pool = snapshot.pools[decision.pool];
  const model::Backend& backend = snapshot.backends[decision.backend];
  const std::string state = backend_state(controller, pool.name, decision.backend);
  answer["backend"] = to_string(backend.endpoint);
  answer["maglev_slot"] = decision.maglev_slot;
  answer["state"] = state;
  answer["verdict"] =
      verdict_name(backend.next_hop.resolved ? Verdict::to_backend : Verdict::backend_unresolved);
  Json& reason = answer["reason"];
  reason.push_back(fmt::format("Maglev slot {} of {} in tier {} holds backend {} ({})",
                               decision.maglev_slot, pool.backends->size(), pool.active_tier,
                               to_string(backend.endpoint), state));
  if (!backend.next_hop.resolved) {
    reason.push_back("it has no next hop yet: " +
                     controller.node().describe_next_hop(backend.endpoint.address));
  }
}

}  // namespace

Result<Json> explain(const Controller& controller, const std::string& protocol,
                     const std::string& source, const std::string& destination) {
  if (protocol != "tcp" && protocol != "udp") {
    return fail(fmt::format("protocol must be tcp or udp, not {}", protocol));
  }
  const auto from = parse_endpoint(source), to = parse_endpoint(destination);
  if (!from) return fail("source: " + from.error().message);
  if (!to) return fail("destination: " + to.error().message);
  if (from->address.family != to->address.family) {
    return fail("source and destination must be of one address family");
  }
  const uint8_t number = protocol == "tcp" ? protocol_tcp : protocol_udp;
  const model::Snapshot& snapshot = controller.snapshot();
  model::Decision decision;
  const int32_t listener = to->address.family == Family::v4
                               ? find_listener(snapshot, tuple4(*from, *to), number, decision)
                               : find_listener(snapshot, tuple6(*from, *to), number, decision);
  Json answer = {{"listener", nullptr},
                 {"route", nullptr},
                 {"rule", nullptr},
                 {"pool", nullptr},
                 {"weight", nullptr},
                 {"slot", nullptr},
                 {"maglev_slot", nullptr},
                 {"backend", nullptr},
                 {"state", nullptr},
                 {"verdict", verdict_name(decision.verdict)},
                 {"generation", snapshot.generation},
                 {"reason", Json::array()}};
  Json& reason = answer["reason"];
  if (listener == model::no_listener) {
    reason.push_back(
        fmt::format("no {} listener at {}; the kernel gets the packet", protocol, destination));
    return answer;
  }
  answer["listener"] = snapshot.listeners[size_t(listener)].name;
  reason.push_back(fmt::format("listener {} takes {} {}", snapshot.listeners[size_t(listener)].name,
                               protocol, destination));
  if (decision.verdict == Verdict::no_rule) {
    reason.push_back("no rule of its routes matches the source");
    return answer;
  }
  explain_rule(snapshot, decision, answer);
  if (decision.verdict == Verdict::none) {
    explain_backend(controller, decision, answer);
  } else {
    reason.push_back("the pool has no backend that could take it");
  }
  return answer;
}

}  // namespace sluice::ctrl

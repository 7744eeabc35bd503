#include "ctrl/govern/holders.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::ctrl {
namespace {

std::string weight_field(const std::string& route, uint32_t rule, const std::string& pool) {
  return fmt::format("route {} rule {} pool {} weight", route, rule, pool);
}

std::string drain_field(const std::string& pool, const Endpoint* endpoint) {
  if (endpoint == nullptr) return fmt::format("pool {} drained", pool);
  return fmt::format("pool {} backend {} drained", pool, to_string(*endpoint));
}

/// Field → value as text, of everything that an overlay sets.
std::map<std::string, std::string> values_of(const Overlay& overlay) {
  std::map<std::string, std::string> values;
  for (const auto& [route, rules] : overlay.weights) {
    for (const auto& [rule, pools] : rules) {
      for (const auto& [pool, weight] : pools) {
        values[weight_field(route, rule, pool)] = std::to_string(weight);
      }
    }
  }
  for (const auto& [pool, endpoints] : overlay.drained) {
    if (endpoints.empty()) values[drain_field(pool, nullptr)] = "yes";
    for (const Endpoint& endpoint : endpoints) values[drain_field(pool, &endpoint)] = "yes";
  }
  return values;
}

std::optional<uint32_t> weight_in(const Config& file, const std::string& route_name, uint32_t rule,
                                  const std::string& pool) {
  const auto route = std::ranges::find(file.routes, route_name, &RouteConfig::name);
  if (route == file.routes.end() || rule >= route->rules.size()) return std::nullopt;
  const auto& refs = route->rules[rule].backends;
  const auto ref = std::ranges::find(refs, pool, &PoolRefConfig::pool);
  return ref == refs.end() ? std::nullopt : std::optional(ref->weight);
}

bool has(const Config& file, const std::string& pool_name, const Endpoint* endpoint) {
  const auto pool = std::ranges::find(file.pools, pool_name, &PoolConfig::name);
  if (pool == file.pools.end()) return false;
  return endpoint == nullptr ||
         std::ranges::any_of(pool->backends, [&](const BackendConfig& backend) {
           return Endpoint{backend.address, backend.port} == *endpoint;
         });
}

HeldField drain_of(const Config& file, const std::string& pool, const Endpoint* endpoint) {
  return {.field = drain_field(pool, endpoint),
          .owner_name = pool,
          .value = "yes",
          .file_value = has(file, pool, endpoint) ? "no" : "nothing",
          .holder = {},
          .differs = true};
}

std::string conflict(const HeldField& held) {
  return fmt::format("{} is {}, held by {} since {} (generation {}, {}); the file says {}",
                     held.field, held.value, held.holder.user, held.holder.since,
                     held.holder.generation, held.holder.verb, held.file_value);
}

}  // namespace

std::vector<HeldField> held_fields(const Overlay& overlay, const Holders& holders,
                                   const Config& file) {
  std::vector<HeldField> fields;
  for (const auto& [route, rules] : overlay.weights) {
    for (const auto& [rule, pools] : rules) {
      for (const auto& [pool, weight] : pools) {
        const auto in_file = weight_in(file, route, rule, pool);
        fields.push_back({.field = weight_field(route, rule, pool),
                          .owner_name = route,
                          .value = std::to_string(weight),
                          .file_value = in_file ? std::to_string(*in_file) : "nothing",
                          .holder = {},
                          .differs = in_file != weight});
      }
    }
  }
  for (const auto& [pool, endpoints] : overlay.drained) {
    if (endpoints.empty()) fields.push_back(drain_of(file, pool, nullptr));
    for (const Endpoint& endpoint : endpoints) fields.push_back(drain_of(file, pool, &endpoint));
  }
  for (HeldField& field : fields) {
    const auto holder = holders.find(field.field);
    if (holder != holders.end()) field.holder = holder->second;
    if (holder == holders.end()) field.holder.user = "an operator";
  }
  return fields;
}

Result<Overlay> overlay_after_apply(const Overlay& held, const Holders& holders, const Config& file,
                                    const Takeover& takeover) {
  Overlay kept;
  if (takeover.all) return kept;
  std::vector<std::string> conflicts;
  std::string take_over;
  for (const HeldField& field : held_fields(held, holders, file)) {
    const bool taken = std::ranges::find(takeover.names, field.owner_name) != takeover.names.end();
    const bool keepable = takeover.keep_held && field.file_value != "nothing";
    if (!field.differs || taken || keepable) continue;
    conflicts.push_back(conflict(field));
    const std::string option = " --take-over " + field.owner_name;
    if (!take_over.contains(option)) take_over += option;
  }
  if (!conflicts.empty()) {
    return fail(fmt::format(
        "{}{}; to give it to the file:{}; to leave it as it is: --keep-held", conflicts.front(),
        conflicts.size() > 1 ? fmt::format(" (and {} more held fields)", conflicts.size() - 1) : "",
        take_over));
  }
  if (!takeover.keep_held) return kept;
  const auto gives_way = [&](const std::string& name) {
    return std::ranges::find(takeover.names, name) != takeover.names.end();
  };
  for (const auto& [route, rules] : held.weights) {
    if (gives_way(route)) continue;
    for (const auto& [rule, pools] : rules) {
      for (const auto& [pool, weight] : pools) {
        // A weight that the file says too is the file's from now on.
        if (weight_in(file, route, rule, pool) != weight) kept.weights[route][rule][pool] = weight;
      }
    }
  }
  for (const auto& [pool, endpoints] : held.drained) {
    if (!gives_way(pool)) kept.drained[pool] = endpoints;
  }
  return kept;
}

Holders holders_after(const Overlay& before, const Holders& holders, const Overlay& after,
                      const Holders& restored, const Holder& by) {
  const auto old_values = values_of(before);
  Holders next;
  for (const auto& [field, value] : values_of(after)) {
    const auto old_value = old_values.find(field);
    const auto old_holder = holders.find(field);
    const auto back = restored.find(field);
    if (old_value != old_values.end() && old_value->second == value &&
        old_holder != holders.end()) {
      next[field] = old_holder->second;
    } else {
      next[field] = back == restored.end() ? by : back->second;
    }
  }
  return next;
}

nlohmann::json to_json(const Holders& holders) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [field, holder] : holders) {
    json[field] = {{"user", holder.user},
                   {"uid", holder.uid},
                   {"since", holder.since},
                   {"generation", holder.generation},
                   {"verb", holder.verb}};
  }
  return json;
}

Holders holders_from_json(const nlohmann::json& json) {
  Holders holders;
  for (const auto& [field, holder] : json.items()) {
    holders[field] = {.user = holder.at("user").get<std::string>(),
                      .uid = holder.at("uid").get<uint32_t>(),
                      .since = holder.at("since").get<std::string>(),
                      .generation = holder.at("generation").get<uint64_t>(),
                      .verb = holder.at("verb").get<std::string>()};
  }
  return holders;
}

}  // namespace sluice::ctrl

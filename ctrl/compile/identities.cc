#include "ctrl/compile/identities.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::ctrl {
namespace {

constexpr int32_t no_ref = -1;

// A loop over every (route, rule, pool) of the configuration; stops where `visit` returns false.
template <typename Visit>
void for_each_ref(const Config& config, Visit visit) {
  for (const RouteConfig& route : config.routes) {
    for (uint32_t rule = 0; rule < route.rules.size(); ++rule) {
      for (const PoolRefConfig& ref : route.rules[rule].backends) {
        if (!visit(RefKey{route.name, rule, ref.pool})) return;
      }
    }
  }
}

std::string lingering_note(size_t lingering) {
  return fmt::format(", {} of them by what is removed but still has connections", lingering);
}

Status check_refs(const Config& config, const Registry& registry, std::vector<int32_t>& refs) {
  uint32_t left = registry.refs_available();
  Status status;
  for_each_ref(config, [&](const RefKey& key) {
    const auto ref = registry.find_ref(key);
    refs.push_back(ref ? *ref : no_ref);
    if (ref || left-- > 0) return true;
    status = fail(fmt::format("route {} rule {}: no counter is left for pool {}: {} are in use{}",
                              key.route, key.rule, key.pool, model::refs_max,
                              lingering_note(registry.lingering_refs().size())));
    return false;
  });
  return status;
}

Status check_backends(const Config& config, const Registry& registry, std::vector<uint16_t>& ids) {
  uint32_t left = registry.backends_available();
  for (const PoolConfig& pool : config.pools) {
    const size_t first = ids.size();
    registry.find_backends(pool, ids);
    for (size_t i = first; i < ids.size(); ++i) {
      if (ids[i] != model::no_backend || left-- > 0) continue;
      const BackendConfig& backend = pool.backends[i - first];
      return fail(fmt::format("pool {}: no identity is left for backend {}: {} are in use{}",
                              pool.name, to_string(Endpoint{backend.address, backend.port}),
                              model::backends_max, lingering_note(registry.lingering().size())));
    }
  }
  return {};
}

}  // namespace

Result<Identities> claim_identities(const Config& config, Registry& registry) {
  Identities identities;
  std::vector<int32_t> refs;
  if (auto status = check_refs(config, registry, refs); !status) {
    return std::unexpected(status.error());
  }
  if (auto status = check_backends(config, registry, identities.backends); !status) {
    return std::unexpected(status.error());
  }
  registry.begin_configuration();
  size_t at = 0;
  for (const PoolConfig& pool : config.pools) {
    for (const BackendConfig& backend : pool.backends) {
      uint16_t& id = identities.backends[at++];
      if (id != model::no_backend) {
        registry.keep_backend(id);
      } else {
        id = registry.backend({pool.name, {backend.address, backend.port}}).value().id;
      }
    }
  }
  identities.refs.reserve(refs.size());
  at = 0;
  for_each_ref(config, [&](const RefKey& key) {
    const int32_t ref = refs[at++];
    if (ref != no_ref) registry.keep_ref(ref);
    identities.refs.push_back(ref != no_ref ? ref : registry.ref(key).value());
    return true;
  });
  return identities;
}

}  // namespace sluice::ctrl

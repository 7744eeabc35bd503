#include "ctrl/compile/identities.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::ctrl {
namespace {

constexpr int32_t no_ref = -1;

// A loop over every (route, rule, pool) of the configuration.
template <typename Visit>
void for_each_ref(const Config& config, Visit visit) {
  for (const RouteConfig& route : config.routes) {
    for (uint32_t rule = 0; rule < route.rules.size(); ++rule) {
      for (const PoolRefConfig& ref : route.rules[rule].backends) {
        visit(RefKey{route.name, rule, ref.pool});
      }
    }
  }
}

// Counts what a configuration wants of one kind of identity, and what there is.
struct Budget {
  uint32_t available;
  uint32_t max;
  uint32_t wanted = 0, found = 0;
  std::string first_without = {};

  /// `subject` says who went without, and is asked only once.
  template <typename Subject>
  void want(bool has_one, Subject subject) {
    ++wanted;
    found += has_one;
    if (wanted - found > available && first_without.empty()) first_without = subject();
  }

  Status verdict(std::string_view kind) const {
    if (first_without.empty()) return {};
    const uint32_t held = max - available;
    return fail(
        fmt::format("no {} is left for {}: the configuration needs {}, and {} of {} are "
                    "held by what it removes until its connections end",
                    kind, first_without, wanted, held - found, max));
  }
};

Status check_refs(const Config& config, const Registry& registry, std::vector<int32_t>& refs) {
  Budget budget{registry.refs_available(), model::refs_max};
  for_each_ref(config, [&](const RefKey& key) {
    const auto ref = registry.find_ref(key);
    refs.push_back(ref ? *ref : no_ref);
    budget.want(ref.has_value(), [&] {
      return fmt::format("route {} rule {} pool {}", key.route, key.rule, key.pool);
    });
  });
  return budget.verdict("counter");
}

Status check_backends(const Config& config, const Registry& registry, std::vector<uint16_t>& ids) {
  Budget budget{registry.backends_available(), model::backends_max};
  for (const PoolConfig& pool : config.pools) {
    const size_t first = ids.size();
    registry.find_backends(pool, ids);
    for (size_t i = first; i < ids.size(); ++i) {
      budget.want(ids[i] != model::no_backend, [&] {
        const BackendConfig& backend = pool.backends[i - first];
        return fmt::format("pool {} backend {}", pool.name,
                           to_string(Endpoint{backend.address, backend.port}));
      });
    }
  }
  return budget.verdict("identity");
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
  });
  return identities;
}

}  // namespace sluice::ctrl

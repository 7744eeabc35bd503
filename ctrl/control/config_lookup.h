// Finding things in a Config by name. Pure; any thread. Null: not there.
#pragma once

#include <string_view>
#include <unordered_map>

#include "ctrl/config/config.h"

namespace sluice::ctrl {

const PoolConfig* find_pool(const Config& config, std::string_view name);
const RouteConfig* find_route(const Config& config, std::string_view name);
const BackendConfig* find_backend(const PoolConfig& pool, const Endpoint& endpoint);

/// For many look-ups in one Config, which must outlive it.
class PoolIndex {
 public:
  explicit PoolIndex(const Config& config);
  const PoolConfig* find(std::string_view name) const;

 private:
  std::unordered_map<std::string_view, const PoolConfig*> by_name_;
};

/// Every backend was drained by an operator: the pool gets no new connection.
bool wholly_drained(const PoolConfig& pool);

/// New connections may go to `ref`: it has weight and its pool is not wholly drained.
bool is_open(const PoolIndex& pools, const PoolRefConfig& ref);

/// `config` as it is compiled: a wholly drained pool gives its share to the other pools of a rule,
/// in proportion to their weights. A rule of which every pool is drained keeps its weights, and
/// the pools' on_empty says what becomes of new connections.
Config without_drained_pools(Config config);

}  // namespace sluice::ctrl

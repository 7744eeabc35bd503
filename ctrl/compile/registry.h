// Registry: identities that survive every swap. A (route, rule, pool) keeps its counter slot and a
// (pool, endpoint) its backend id for as long as they are configured or still have connections.
// A recycled backend id gets a new incarnation. ctrl thread only.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/result.h"
#include "dataplane/model/snapshot.h"

namespace sluice::ctrl {

struct BackendKey {
  std::string pool;
  Endpoint endpoint;
  auto operator<=>(const BackendKey&) const = default;
};

struct RefKey {
  std::string route;
  uint32_t rule = 0;
  std::string pool;
  auto operator<=>(const RefKey&) const = default;
};

struct BackendIdentity {
  uint16_t id = model::no_backend;
  uint32_t incarnation = 0;
  bool in_config = false;
  BackendKey key;
};

class Registry {
 public:
  Result<uint16_t> ref(const RefKey& key);
  Result<BackendIdentity> backend(const BackendKey& key);

  /// Marks what is configured now; everything else may be released.
  void begin_configuration();
  /// Ids that left the configuration and are still held, for the lingering part of a snapshot.
  std::vector<BackendIdentity> lingering() const;
  /// Gives back ids that left the configuration and have no connection any more.
  void release_backend(uint16_t id);
  void release_ref(uint16_t ref);

  std::optional<RefKey> find_ref(uint16_t ref) const;
  std::optional<BackendIdentity> find_backend(uint16_t id) const;
  std::optional<uint16_t> find_ref(const RefKey& key) const;
  std::map<RefKey, uint16_t> refs() const;

 private:
  struct RefSlot;
};

}  // namespace sluice::ctrl

// Registry: identities that survive every swap. A (route, rule, pool) keeps its counter slot and a
// (pool, endpoint) its backend id for as long as they are configured or still have connections.
// A recycled backend id gets a new incarnation. A copy is a registry of its own: compile a dry run
// with one. ctrl thread only.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ctrl/compile/table_cache.h"
#include "ctrl/config/config.h"
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
  uint32_t incarnation = 0;  // from 1 on; counts up with every holder of the id
  bool in_config = false;
  BackendKey key;
};

/// Gives out the numbers 0..max-1, those never used first, then the ones longest given back.
class IdPool {
 public:
  explicit IdPool(uint32_t max) : max_(max) {}
  std::optional<uint16_t> take();
  void give_back(uint16_t id) { returned_.push_back(id); }
  uint32_t available() const { return max_ - unused_from_ + returned_.size(); }
  /// Ids at and above this were never given out.
  uint32_t end() const { return unused_from_; }

 private:
  uint32_t max_;
  uint32_t unused_from_ = 0;
  std::deque<uint16_t> returned_;
};

class Registry {
 public:
  /// The identity of `key`, now configured; a new one when it has none. Fails when none is left.
  Result<uint16_t> ref(const RefKey& key);
  Result<BackendIdentity> backend(const BackendKey& key);
  /// The same for an identity that is known to be held.
  void keep_ref(uint16_t ref) { refs_[ref].configured_in = configuration_; }
  void keep_backend(uint16_t id) { backends_[id].configured_in = configuration_; }

  /// Nothing is configured from now on, until ref() and backend() say so: everything else may be
  /// released.
  void begin_configuration() { ++configuration_; }
  /// Ids that left the configuration and are still held, for the lingering part of a snapshot.
  std::vector<BackendIdentity> lingering() const;
  std::vector<uint16_t> lingering_refs() const;
  /// Gives back an id that left the configuration and has no connection any more. Ids that are
  /// configured (again) or not held stay as they are.
  void release_backend(uint16_t id);
  void release_ref(uint16_t ref);

  std::optional<RefKey> find_ref(uint16_t ref) const;
  std::optional<BackendIdentity> find_backend(uint16_t id) const;
  std::optional<BackendIdentity> find_backend(const BackendKey& key) const;
  std::optional<uint16_t> find_ref(const RefKey& key) const;
  /// Every identity held, configured or lingering.
  const std::map<RefKey, uint16_t>& refs() const { return ref_ids_; }

  /// Appends an id for each backend of `pool`, no_backend for those that have none yet.
  void find_backends(const PoolConfig& pool, std::vector<uint16_t>& ids) const;
  uint32_t backends_available() const { return backend_pool_.available(); }
  uint32_t refs_available() const { return ref_pool_.available(); }
  /// Backend ids at and above this are not in use.
  uint32_t backends_end() const { return backend_pool_.end(); }
  uint32_t incarnation(uint16_t id) const { return backends_[id].incarnation; }

  /// Tables that snapshots of this registry share; copies of the registry share it too.
  TableCache& tables() { return *tables_; }

 private:
  struct RefSlot {
    bool held = false;
    uint64_t configured_in = 0;  // the configuration that named it last
    RefKey key;
  };
  struct BackendSlot {
    bool held = false;
    uint32_t incarnation = 0;
    uint64_t configured_in = 0;
    BackendKey key;
  };
  BackendIdentity identity(uint16_t id) const;

  uint64_t configuration_ = 1;
  IdPool ref_pool_{model::refs_max};
  IdPool backend_pool_{model::backends_max};
  std::vector<RefSlot> refs_;          // by ref
  std::vector<BackendSlot> backends_;  // by id
  std::map<RefKey, uint16_t> ref_ids_;
  std::map<std::string, std::map<Endpoint, uint16_t>> backend_ids_;
  std::shared_ptr<TableCache> tables_ = std::make_shared<TableCache>();
};

}  // namespace sluice::ctrl

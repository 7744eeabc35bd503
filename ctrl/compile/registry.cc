#include "ctrl/compile/registry.h"

#include <fmt/format.h>

#include "dataplane/base/assert.h"

namespace sluice::ctrl {

std::optional<uint16_t> IdPool::take() {
  if (unused_from_ < max_) return unused_from_++;
  if (returned_.empty()) return std::nullopt;
  const uint16_t id = returned_.front();
  returned_.pop_front();
  return id;
}

Result<uint16_t> Registry::ref(const RefKey& key) {
  auto found = ref_ids_.find(key);
  if (found == ref_ids_.end()) {
    const auto id = ref_pool_.take();
    if (!id) {
      return fail(fmt::format("route {} rule {}: no counter is left for pool {}, all {} are in use",
                              key.route, key.rule, key.pool, model::refs_max));
    }
    if (*id >= refs_.size()) refs_.resize(*id + 1);
    refs_[*id] = {.held = true, .configured_in = 0, .key = key};
    found = ref_ids_.emplace(key, *id).first;
  }
  refs_[found->second].configured_in = configuration_;
  return found->second;
}

Result<BackendIdentity> Registry::backend(const BackendKey& key) {
  auto& ids = backend_ids_[key.pool];
  auto found = ids.find(key.endpoint);
  if (found == ids.end()) {
    const auto id = backend_pool_.take();
    if (!id) {
      return fail(fmt::format("pool {}: no identity is left for backend {}, all {} are in use",
                              key.pool, to_string(key.endpoint), model::backends_max));
    }
    if (*id >= backends_.size()) backends_.resize(*id + 1);
    BackendSlot& slot = backends_[*id];
    slot.held = true;
    slot.incarnation += 1;
    slot.key = key;
    found = ids.emplace(key.endpoint, *id).first;
  }
  keep_backend(found->second);
  return identity(found->second);
}

BackendIdentity Registry::identity(uint16_t id) const {
  const BackendSlot& slot = backends_[id];
  return {id, slot.incarnation, slot.configured_in == configuration_, slot.key};
}

std::vector<BackendIdentity> Registry::lingering() const {
  std::vector<BackendIdentity> identities;
  for (size_t id = 0; id < backends_.size(); ++id) {
    if (!backends_[id].held || backends_[id].configured_in == configuration_) continue;
    identities.push_back(identity(id));
  }
  return identities;
}

std::vector<uint16_t> Registry::lingering_refs() const {
  std::vector<uint16_t> refs;
  for (size_t ref = 0; ref < refs_.size(); ++ref) {
    if (refs_[ref].held && refs_[ref].configured_in != configuration_) refs.push_back(ref);
  }
  return refs;
}

void Registry::release_backend(uint16_t id) {
  if (id >= backends_.size()) return;
  BackendSlot& slot = backends_[id];
  if (!slot.held || slot.configured_in == configuration_) return;
  const auto pool = backend_ids_.find(slot.key.pool);
  SLUICE_ASSERT(pool != backend_ids_.end());
  pool->second.erase(slot.key.endpoint);
  if (pool->second.empty()) backend_ids_.erase(pool);
  slot.held = false;
  slot.key = {};
  backend_pool_.give_back(id);
}

void Registry::release_ref(uint16_t ref) {
  if (ref >= refs_.size()) return;
  RefSlot& slot = refs_[ref];
  if (!slot.held || slot.configured_in == configuration_) return;
  ref_ids_.erase(slot.key);
  slot = {};
  ref_pool_.give_back(ref);
}

std::optional<RefKey> Registry::find_ref(uint16_t ref) const {
  if (ref >= refs_.size() || !refs_[ref].held) return std::nullopt;
  return refs_[ref].key;
}

std::optional<uint16_t> Registry::find_ref(const RefKey& key) const {
  const auto found = ref_ids_.find(key);
  return found == ref_ids_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<BackendIdentity> Registry::find_backend(uint16_t id) const {
  if (id >= backends_.size() || !backends_[id].held) return std::nullopt;
  return identity(id);
}

std::optional<BackendIdentity> Registry::find_backend(const BackendKey& key) const {
  const auto pool = backend_ids_.find(key.pool);
  if (pool == backend_ids_.end()) return std::nullopt;
  const auto found = pool->second.find(key.endpoint);
  return found == pool->second.end() ? std::nullopt : std::optional(identity(found->second));
}

void Registry::find_backends(const PoolConfig& pool, std::vector<uint16_t>& ids) const {
  const auto known = backend_ids_.find(pool.name);
  if (known == backend_ids_.end()) {
    ids.insert(ids.end(), pool.backends.size(), model::no_backend);
    return;
  }
  // Backends are mostly written in order: the next one in the map is the next one asked for.
  auto at = known->second.begin();
  for (const BackendConfig& backend : pool.backends) {
    const Endpoint endpoint{backend.address, backend.port};
    if (at == known->second.end() || at->first != endpoint) at = known->second.find(endpoint);
    ids.push_back(at == known->second.end() ? model::no_backend : at->second);
    if (at != known->second.end()) ++at;
  }
}

}  // namespace sluice::ctrl

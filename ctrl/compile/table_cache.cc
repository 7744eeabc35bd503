#include "ctrl/compile/table_cache.h"

#include <algorithm>
#include <functional>

#include "dataplane/base/byte_order.h"

namespace sluice::ctrl {
namespace {

void mix(uint64_t& hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;
  hash ^= hash >> 32;
}

uint64_t hash_of(std::span<const model::MaglevMember> members) {
  uint64_t hash = members.size();
  for (const model::MaglevMember& member : members) {
    mix(hash,
        uint64_t(member.backend) << 48 | uint64_t(member.endpoint.port) << 32 | member.weight);
    mix(hash, load<uint64_t>(member.endpoint.address.bytes.data()));
    mix(hash, load<uint64_t>(member.endpoint.address.bytes.data() + 8));
  }
  return hash;
}

uint64_t hash_of(std::span<const model::WeightedPool> pools) {
  uint64_t hash = pools.size();
  for (const model::WeightedPool& pool : pools) {
    mix(hash, std::hash<std::string_view>()(pool.name));
    mix(hash, pool.weight);
  }
  return hash;
}

bool same(const model::MaglevMember& a, const model::MaglevMember& b) {
  return a.backend == b.backend && a.weight == b.weight && a.endpoint == b.endpoint;
}

bool same(const std::pair<std::string, uint32_t>& a, const model::WeightedPool& b) {
  return a.first == b.name && a.second == b.weight;
}

}  // namespace

std::shared_ptr<const model::MaglevTable> TableCache::maglev(
    std::span<const model::MaglevMember> members) {
  const uint64_t hash = hash_of(members);
  const auto [first, last] = maglevs_.equal_range(hash);
  for (auto entry = first; entry != last; ++entry) {
    const auto matches = [](const auto& a, const auto& b) { return same(a, b); };
    if (!std::ranges::equal(entry->second.members, members, matches)) continue;
    if (auto table = entry->second.table.lock()) return table;
  }
  auto table = model::build_maglev(members);
  maglevs_.emplace(hash, MaglevEntry{{members.begin(), members.end()}, table});
  return table;
}

std::shared_ptr<const model::SlotTable> TableCache::slots(
    std::span<const model::WeightedPool> pools) {
  const uint64_t hash = hash_of(pools);
  const auto [first, last] = slots_.equal_range(hash);
  for (auto entry = first; entry != last; ++entry) {
    const auto matches = [](const auto& a, const auto& b) { return same(a, b); };
    if (!std::ranges::equal(entry->second.pools, pools, matches)) continue;
    if (auto table = entry->second.table.lock()) return table;
  }
  auto table = model::build_slot_table(pools);
  if (!table) return nullptr;
  SlotEntry entry{{}, table};
  for (const model::WeightedPool& pool : pools) entry.pools.emplace_back(pool.name, pool.weight);
  slots_.emplace(hash, std::move(entry));
  return table;
}

void TableCache::prune() {
  const auto unused = [](const auto& entry) { return entry.second.table.expired(); };
  std::erase_if(maglevs_, unused);
  std::erase_if(slots_, unused);
}

}  // namespace sluice::ctrl

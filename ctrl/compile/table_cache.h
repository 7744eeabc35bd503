// TableCache: the large tables of snapshots, found again by what they were made from, so that a
// change rebuilds only what it touches. Holds no table alive: the snapshots do. ctrl thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/model/maglev.h"
#include "dataplane/model/slot_table.h"
#include "dataplane/model/snapshot.h"

namespace sluice::ctrl {

class TableCache {
 public:
  /// build_maglev(members), or the table that a living snapshot has of the same members.
  std::shared_ptr<const model::MaglevTable> maglev(std::span<const model::MaglevMember> members);
  /// build_slot_table(pools), likewise; null when every weight is 0.
  std::shared_ptr<const model::SlotTable> slots(std::span<const model::WeightedPool> pools);
  /// Forgets tables that no snapshot has any more. Call after each compile.
  void prune();

 private:
  struct MaglevEntry {
    std::vector<model::MaglevMember> members;
    std::weak_ptr<const model::MaglevTable> table;
  };
  struct SlotEntry {
    std::vector<std::pair<std::string, uint32_t>> pools;
    std::weak_ptr<const model::SlotTable> table;
  };
  std::unordered_multimap<uint64_t, MaglevEntry> maglevs_;  // by hash of the members
  std::unordered_multimap<uint64_t, SlotEntry> slots_;      // by hash of the pools
};

}  // namespace sluice::ctrl

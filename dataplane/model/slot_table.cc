#include "dataplane/model/slot_table.h"

#include <algorithm>
#include <string>

#include "dataplane/base/assert.h"
#include "dataplane/base/hash.h"
#include "dataplane/model/largest_remainder.h"

namespace sluice::model {
namespace {

/// A constant key is right here: it only orders slots, the same on every node. Who wants to aim at
/// a slot needs the decision hash, which is keyed from the configuration.
constexpr HashKey permutation_key = {
    {'s', 'l', 'u', 'i', 'c', 'e', ' ', 's', 'l', 'o', 't', ' ', 'o', 'r', 'd', 'r'}};

/// A pool's own order of the 65,536 slots: a Feistel network over the two bytes of a slot number,
/// whose round functions are tables of bytes drawn from the pool's name. It is a permutation
/// whatever the tables hold (Luby and Rackoff, 1988), and needs no shuffled array.
class SlotPermutation {
 public:
  explicit SlotPermutation(std::string_view name) {
    std::string block(name);
    block.push_back('\0');
    block.push_back('\0');
    uint8_t counter = 0;
    for (auto& table : rounds_) {
      for (size_t at = 0; at < table.size(); at += 8) {
        block.back() = static_cast<char>(counter++);
        const auto* bytes = reinterpret_cast<const uint8_t*>(block.data());
        store(table.data() + at, siphash24(permutation_key, {bytes, block.size()}));
      }
    }
  }

  uint32_t operator()(uint32_t position) const {
    auto left = static_cast<uint8_t>(position >> 8);
    auto right = static_cast<uint8_t>(position);
    for (const auto& table : rounds_) {
      const auto mixed = static_cast<uint8_t>(left ^ table[right]);
      left = right;
      right = mixed;
    }
    return uint32_t{left} << 8 | right;
  }

 private:
  // Three rounds would do for wide halves; seven, because halves of one byte are small.
  std::array<std::array<uint8_t, 256>, 7> rounds_;
};

constexpr uint8_t unclaimed = 0;  // the base pool's, as it turns out

void claim(SlotTable& table, std::string_view name, uint8_t pool, uint32_t share) {
  const SlotPermutation order(name);
  for (uint32_t position = 0; share > 0; ++position) {
    SLUICE_ASSERT(position < slot_count);
    uint8_t& owner = table[order(position)];
    if (owner != unclaimed) continue;
    owner = pool;
    --share;
  }
}

}  // namespace

std::vector<uint32_t> slot_shares(std::span<const WeightedPool> pools) {
  std::vector<uint32_t> weights;
  for (const WeightedPool& pool : pools) weights.push_back(pool.weight);
  return largest_remainder(weights, slot_count);
}

std::shared_ptr<const SlotTable> build_slot_table(std::span<const WeightedPool> pools) {
  SLUICE_ASSERT(pools.size() <= pools_per_rule_max);
  const std::vector<uint32_t> shares = slot_shares(pools);
  if (std::ranges::all_of(shares, [](uint32_t share) { return share == 0; })) return nullptr;
  auto table = std::make_shared<SlotTable>();
  table->fill(unclaimed);
  for (size_t i = 1; i < pools.size(); ++i) {
    claim(*table, pools[i].name, static_cast<uint8_t>(i), shares[i]);
  }
  return table;
}

}  // namespace sluice::model

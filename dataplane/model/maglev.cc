#include "dataplane/model/maglev.h"

#include <algorithm>
#include <vector>

#include "dataplane/base/assert.h"
#include "dataplane/base/hash.h"
#include "dataplane/model/largest_remainder.h"

namespace sluice::model {
namespace {

/// A constant key is right here, as for slots (slot_table.cc): it only orders a backend's slots.
constexpr HashKey permutation_key = {
    {'s', 'l', 'u', 'i', 'c', 'e', ' ', 'm', 'a', 'g', 'l', 'e', 'v', ' ', 'o', 'r'}};

/// A backend's walk over the table: (offset + j * skip) mod slots, a permutation as `slots` is
/// prime.
struct Walk {
  uint32_t at = 0;
  uint32_t skip = 1;
};

Walk start_of_walk(const Endpoint& endpoint, uint32_t slots) {
  std::array<uint8_t, 19> bytes{};
  bytes[0] = static_cast<uint8_t>(endpoint.address.family);
  std::copy(endpoint.address.bytes.begin(), endpoint.address.bytes.end(), bytes.begin() + 1);
  store_be16(bytes.data() + 17, endpoint.port);
  const uint64_t hash = siphash24(permutation_key, bytes);
  return {static_cast<uint32_t>((hash >> 32) * slots >> 32),
          static_cast<uint32_t>((hash & 0xffff'ffff) * (slots - 1) >> 32) + 1};
}

/// In which order the members take slots: each as often as its exact share says, its turns evenly
/// spread. Turn k of a member falls into round (k + 1/2) * weight_max / weight: the heaviest takes
/// one in each round, one of half that weight in every other; within a round by position.
/// A sort by counting, so that weights of any spread cost the same.
std::vector<uint16_t> order_of_turns(std::span<const MaglevMember> members, uint32_t slots) {
  std::vector<uint32_t> weights;
  for (const MaglevMember& member : members) weights.push_back(member.weight);
  const std::vector<uint32_t> shares = largest_remainder(weights, slots);
  const uint64_t weight_max = std::ranges::max(weights);
  const uint64_t rounds = std::ranges::max(shares);
  const auto for_each_turn = [&](auto&& visit) {
    for (size_t i = 0; i < members.size(); ++i) {
      const uint64_t step = (weight_max << 32) / weights[i];  // 32 fractional bits
      uint64_t time = step / 2;
      for (uint32_t turn = 0; turn < shares[i]; ++turn, time += step) {
        visit(i, std::min(time >> 32, rounds - 1));
      }
    }
  };
  std::vector<uint32_t> starts(rounds + 1, 0);
  for_each_turn([&](size_t, uint64_t round) { ++starts[round + 1]; });
  for (size_t round = 0; round < rounds; ++round) starts[round + 1] += starts[round];
  std::vector<uint16_t> order(slots);
  for_each_turn([&](size_t member, uint64_t round) {
    order[starts[round]++] = static_cast<uint16_t>(member);
  });
  return order;
}

/// Which slots are taken. 8 KiB that stay in the first cache while the table is filled.
class SlotSet {
 public:
  explicit SlotSet(uint32_t slots) : words_((slots + 63) / 64, 0) {}
  bool contains(uint32_t slot) const { return words_[slot / 64] >> (slot % 64) & 1; }
  void insert(uint32_t slot) { words_[slot / 64] |= uint64_t{1} << (slot % 64); }

 private:
  std::vector<uint64_t> words_;
};

/// Members of weight > 0 by endpoint, so that the order in the configuration does not matter.
std::vector<MaglevMember> usable_members(std::span<const MaglevMember> members) {
  std::vector<MaglevMember> usable;
  for (const MaglevMember& member : members) {
    if (member.weight > 0) usable.push_back(member);
  }
  std::ranges::stable_sort(usable, {}, &MaglevMember::endpoint);
  return usable;
}

}  // namespace

std::shared_ptr<const MaglevTable> build_maglev(std::span<const MaglevMember> members) {
  auto table = std::make_shared<MaglevTable>();
  const std::vector<MaglevMember> usable = usable_members(members);
  if (usable.empty()) return table;
  SLUICE_ASSERT(usable.size() <= backends_max);
  const uint32_t slots =
      usable.size() > maglev_small_backends_max ? maglev_slots_large : maglev_slots_small;
  std::vector<Walk> walks;
  for (const MaglevMember& member : usable) walks.push_back(start_of_walk(member.endpoint, slots));
  table->resize(slots);
  SlotSet taken(slots);
  for (const uint16_t member : order_of_turns(usable, slots)) {
    Walk& walk = walks[member];
    uint32_t at = walk.at;
    while (taken.contains(at)) {
      at += walk.skip;
      if (at >= slots) at -= slots;
    }
    taken.insert(at);
    walk.at = at;
    (*table)[at] = usable[member].backend;
  }
  return table;
}

}  // namespace sluice::model

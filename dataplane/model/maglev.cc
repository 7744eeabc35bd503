#include "dataplane/model/maglev.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "dataplane/base/assert.h"
#include "dataplane/base/hash.h"
#include "dataplane/model/largest_remainder.h"

namespace sluice::model {
namespace {

/// A constant key is right here, as for slots (slot_table.cc): it only orders a backend's slots.
constexpr HashKey permutation_key = {
    {'s', 'l', 'u', 'i', 'c', 'e', ' ', 'm', 'a', 'g', 'l', 'e', 'v', ' ', 'o', 'r'}};

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

/// Slots that nobody has taken. The bits of a whole table stay in the first cache (8 KiB).
class FreeSlots {
 public:
  explicit FreeSlots(uint32_t slots) : taken_((slots + 63) / 64, 0) {}

  bool contains(uint32_t slot) const { return !(taken_[slot / 64] >> (slot % 64) & 1); }
  void take(uint32_t slot) { taken_[slot / 64] |= uint64_t{1} << (slot % 64); }

 private:
  std::vector<uint64_t> taken_;
};

/// x with skip * x = 1 (mod slots), by Fermat's little theorem: skip^(slots - 2).
template <uint32_t slots>
uint32_t inverse(uint32_t skip) {
  uint64_t result = 1, power = skip;
  for (uint32_t exponent = slots - 2; exponent != 0; exponent /= 2) {
    if (exponent % 2 == 1) result = result * power % slots;
    power = power * power % slots;
  }
  return static_cast<uint32_t>(result);
}

/// Towards the end a walk passes thousands of taken slots to find a free one: the last 256 turns
/// would make half of all steps. Then it is cheaper to ask of every free slot how many steps away
/// it is, which the inverse of the skip tells. With this the build takes a quarter less time.
constexpr uint32_t last_slots = 256;

template <uint32_t slots>
void take_last_slots(std::span<const uint16_t> turns, std::vector<MaglevWalk>& walks,
                     const FreeSlots& free, std::span<uint16_t> owners) {
  std::vector<uint32_t> left;
  for (uint32_t slot = 0; slot < slots; ++slot) {
    if (free.contains(slot)) left.push_back(slot);
  }
  for (const uint16_t member : turns) {
    MaglevWalk& walk = walks[member];
    const uint64_t per_slot = inverse<slots>(walk.skip);
    const auto steps_to = [&](uint32_t slot) {
      return static_cast<uint32_t>((slot + slots - walk.at) * per_slot % slots);
    };
    const auto nearest = std::ranges::min_element(left, {}, steps_to);
    walk.at = *nearest;
    owners[walk.at] = member;
    *nearest = left.back();
    left.pop_back();
  }
}

/// Each turn's member takes the first free slot of its walk. Fills `owners`: slot → member.
template <uint32_t slots>
void take_turns(std::span<const uint16_t> turns, std::vector<MaglevWalk>& walks,
                std::span<uint16_t> owners) {
  FreeSlots free(slots);
  for (const uint16_t member : turns.first(slots - last_slots)) {
    MaglevWalk& walk = walks[member];
    uint32_t at = walk.at;
    while (!free.contains(at)) {
      at += walk.skip;
      if (at >= slots) at -= slots;
    }
    free.take(at);
    walk.at = at;
    owners[at] = member;
  }
  take_last_slots<slots>(turns.last(last_slots), walks, free, owners);
}

/// Members of weight > 0 by endpoint, so that the order in the configuration does not matter.
std::vector<MaglevMember> usable_members(std::span<const MaglevMember> members) {
  std::vector<MaglevMember> usable;
  for (const MaglevMember& member : members) {
    if (member.weight > 0) usable.push_back(member);
  }
  std::ranges::sort(usable, {}, [](const MaglevMember& member) {
    return std::tuple(member.endpoint, member.backend);
  });
  return usable;
}

}  // namespace

MaglevWalk maglev_walk(const Endpoint& endpoint, uint32_t slots) {
  std::array<uint8_t, 19> bytes{};
  bytes[0] = static_cast<uint8_t>(endpoint.address.family);
  std::copy(endpoint.address.bytes.begin(), endpoint.address.bytes.end(), bytes.begin() + 1);
  store_be16(bytes.data() + 17, endpoint.port);
  const uint64_t hash = siphash24(permutation_key, bytes);
  return {static_cast<uint32_t>((hash >> 32) * slots >> 32),
          static_cast<uint32_t>((hash & 0xffff'ffff) * (slots - 1) >> 32) + 1};
}

std::shared_ptr<const MaglevTable> build_maglev(std::span<const MaglevMember> members) {
  auto table = std::make_shared<MaglevTable>();
  const std::vector<MaglevMember> usable = usable_members(members);
  if (usable.empty()) return table;
  SLUICE_ASSERT(usable.size() <= backends_max);
  const uint32_t slots =
      usable.size() > maglev_small_backends_max ? maglev_slots_large : maglev_slots_small;
  std::vector<MaglevWalk> walks;
  walks.reserve(usable.size());
  for (const MaglevMember& member : usable) walks.push_back(maglev_walk(member.endpoint, slots));
  table->resize(slots);
  const std::vector<uint16_t> turns = order_of_turns(usable, slots);
  if (slots == maglev_slots_small) {
    take_turns<maglev_slots_small>(turns, walks, *table);
  } else {
    take_turns<maglev_slots_large>(turns, walks, *table);
  }
  for (uint16_t& slot : *table) slot = usable[slot].backend;
  return table;
}

}  // namespace sluice::model

#include "dataplane/model/maglev.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>
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
  std::vector<uint16_t> order(slots);
  if (std::ranges::all_of(weights, [&](uint32_t weight) { return weight == weights[0]; })) {
    for (uint32_t turn = 0, member = 0; turn < slots; ++turn) {
      order[turn] = static_cast<uint16_t>(member);
      member = member + 1 == members.size() ? 0 : member + 1;
    }
    return order;
  }
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
  for_each_turn([&](size_t member, uint64_t round) {
    order[starts[round]++] = static_cast<uint16_t>(member);
  });
  return order;
}

/// Slots that nobody has taken. The bits of a whole table stay in the first cache (8 KiB).
class FreeSlots {
 public:
  explicit FreeSlots(uint32_t slots) : taken_((slots + 31) / 32, 0) {}

  bool contains(uint32_t slot) const { return !(taken_[slot / 32] >> (slot % 32) & 1); }
  void take(uint32_t slot) { taken_[slot / 32] |= uint32_t{1} << (slot % 32); }

  /// One bit for each of eight slots: set where the slot is free.
  unsigned contains(__m256i eight_slots) const {
    const auto* words = reinterpret_cast<const int*>(taken_.data());
    const __m256i word = _mm256_i32gather_epi32(words, _mm256_srli_epi32(eight_slots, 5), 4);
    const __m256i to_sign = _mm256_andnot_si256(eight_slots, _mm256_set1_epi32(31));
    const __m256i taken = _mm256_sllv_epi32(word, to_sign);
    return ~static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(taken))) & 0xff;
  }

 private:
  std::vector<uint32_t> taken_;
};

/// Where a member's walk stands. A walk passes many taken slots: eight are looked at in one go.
template <uint32_t slots>
struct Walker {
  static constexpr unsigned stride = 8;

  alignas(32) std::array<uint32_t, stride> ahead;  // the next eight slots, relative to `at`
  uint32_t at;                                     // the slot before the next one
  uint32_t skip;

  explicit Walker(const MaglevWalk& walk)
      : at(walk.at >= walk.skip ? walk.at - walk.skip : walk.at + slots - walk.skip),
        skip(walk.skip) {
    for (uint32_t i = 0, sum = 0; i < stride; ++i) ahead[i] = sum = wrap(sum + skip);
  }

  static uint32_t wrap(uint32_t slot) { return slot >= slots ? slot - slots : slot; }
};

/// The next free slots of a walk: of the eight after `base`, those whose bit is set.
struct Candidates {
  uint32_t base = 0;
  unsigned free = 0;
};

template <uint32_t slots>
Candidates look_ahead(const Walker<slots>& walker, uint32_t base, const FreeSlots& free) {
  const __m256i modulus = _mm256_set1_epi32(slots);
  const __m256i steps = _mm256_load_si256(reinterpret_cast<const __m256i*>(walker.ahead.data()));
  for (;;) {
    const __m256i sum = _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(base)), steps);
    const __m256i eight = _mm256_min_epu32(sum, _mm256_sub_epi32(sum, modulus));
    if (const unsigned found = free.contains(eight); found != 0) return {base, found};
    base = Walker<slots>::wrap(base + walker.ahead.back());
  }
}

/// Takes the first candidate that is still free; looks further ahead when none is.
template <uint32_t slots>
uint32_t take_first(const Walker<slots>& walker, Candidates candidates, FreeSlots& free) {
  for (;;) {
    for (; candidates.free != 0; candidates.free &= candidates.free - 1) {
      const auto first = static_cast<unsigned>(std::countr_zero(candidates.free));
      const uint32_t slot = Walker<slots>::wrap(candidates.base + walker.ahead[first]);
      if (!free.contains(slot)) continue;
      free.take(slot);
      return slot;
    }
    candidates = look_ahead(walker, candidates.base, free);
  }
}

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

/// Towards the end a walk passes thousands of taken slots to find a free one. Then it is cheaper
/// to ask of every free slot how many steps away it is, which the inverse of the skip tells.
constexpr uint32_t last_slots = 256;

template <uint32_t slots>
void take_last_slots(std::span<const uint16_t> turns, std::vector<Walker<slots>>& walkers,
                     const FreeSlots& free, std::span<uint16_t> owners) {
  std::vector<uint32_t> left;
  for (uint32_t slot = 0; slot < slots; ++slot) {
    if (free.contains(slot)) left.push_back(slot);
  }
  for (const uint16_t member : turns) {
    Walker<slots>& walker = walkers[member];
    const uint64_t per_slot = inverse<slots>(walker.skip);
    // One step less, so that the slot where the walk stands is the farthest.
    const uint64_t origin = 2 * uint64_t{slots} - walker.at - walker.skip;
    size_t nearest = 0;
    uint64_t fewest_steps = slots;
    for (size_t i = 0; i < left.size(); ++i) {
      const uint64_t steps = (left[i] + origin) * per_slot % slots;
      nearest = steps < fewest_steps ? i : nearest;
      fewest_steps = std::min(steps, fewest_steps);
    }
    walker.at = left[nearest];
    owners[walker.at] = member;
    left[nearest] = left.back();
    left.pop_back();
  }
}

/// Each turn's member takes the first free slot of its walk: slot → member.
template <uint32_t slots>
void take_turns(std::span<const uint16_t> turns, std::span<const MaglevMember> members,
                std::span<uint16_t> owners) {
  std::vector<Walker<slots>> walkers;
  walkers.reserve(members.size());
  for (const MaglevMember& member : members) {
    walkers.emplace_back(maglev_walk(member.endpoint, slots));
  }
  FreeSlots free(slots);
  // The candidates of some turns are looked up before the first of these turns takes its slot:
  // without stores between them the lookups run beside each other. A slot may be taken meanwhile,
  // but none becomes free, so the first candidate that is still free is the right one.
  std::array<Candidates, 16> candidates;
  const size_t batch_max = std::min(members.size(), candidates.size());
  for (size_t first = 0; first < slots - last_slots; first += batch_max) {
    const auto batch = turns.subspan(first, std::min(batch_max, slots - last_slots - first));
    for (size_t i = 0; i < batch.size(); ++i) {
      const Walker<slots>& walker = walkers[batch[i]];
      candidates[i] = look_ahead(walker, walker.at, free);
    }
    for (size_t i = 0; i < batch.size(); ++i) {
      Walker<slots>& walker = walkers[batch[i]];
      walker.at = take_first(walker, candidates[i], free);
      owners[walker.at] = batch[i];
    }
  }
  take_last_slots<slots>(turns.last(last_slots), walkers, free, owners);
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
  table->resize(slots);
  const std::vector<uint16_t> turns = order_of_turns(usable, slots);
  if (slots == maglev_slots_small) {
    take_turns<maglev_slots_small>(turns, usable, *table);
  } else {
    take_turns<maglev_slots_large>(turns, usable, *table);
  }
  for (uint16_t& slot : *table) slot = usable[slot].backend;
  return table;
}

}  // namespace sluice::model

// SlotBitmap: which slots of a timer wheel hold anything; finds the next one, going round, in a
// few words. Memory is the caller's. Not thread-safe.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::flow {

class SlotBitmap {
 public:
  static constexpr uint32_t none = 0xffff'ffff;

  /// 64-bit words for `slots` slots (a power of two, at least 64): bits, then a summary bit each.
  static size_t words(uint32_t slots) { return slots / 64 + (slots / 64 + 63) / 64; }

  SlotBitmap() = default;
  /// `memory`: words(slots) words, all zero.
  SlotBitmap(uint64_t* memory, uint32_t slots)
      : bits_(memory, slots / 64), summary_(memory + slots / 64, (slots / 64 + 63) / 64) {}

  void set(uint32_t slot) {
    bits_[slot / 64] |= uint64_t{1} << slot % 64;
    summary_[slot / 4096] |= uint64_t{1} << slot / 64 % 64;
  }

  void clear(uint32_t slot) {
    uint64_t& word = bits_[slot / 64];
    word &= ~(uint64_t{1} << slot % 64);
    if (word == 0) summary_[slot / 4096] &= ~(uint64_t{1} << slot / 64 % 64);
  }

  /// The first set slot at or after `from`, going round past the end; none when all are clear.
  uint32_t next(uint32_t from) const {
    const uint64_t rest = bits_[from / 64] >> from % 64;
    if (rest != 0) return from + static_cast<uint32_t>(std::countr_zero(rest));
    const auto word_count = static_cast<uint32_t>(bits_.size());
    const uint32_t word = next_word(from / 64 + 1 == word_count ? 0 : from / 64 + 1);
    if (word == none) return none;
    return word * 64 + static_cast<uint32_t>(std::countr_zero(bits_[word]));
  }

 private:
  uint32_t next_word(uint32_t from) const {
    const auto group_count = static_cast<uint32_t>(summary_.size());
    uint32_t group = from / 64;
    uint64_t candidates = summary_[group] >> from % 64 << from % 64;
    // One step more than there are groups: the first one again, for what lies before `from`.
    for (uint32_t step = 0; step <= group_count; ++step) {
      if (candidates != 0) return group * 64 + static_cast<uint32_t>(std::countr_zero(candidates));
      group = group + 1 == group_count ? 0 : group + 1;
      candidates = summary_[group];
    }
    return none;
  }

  std::span<uint64_t> bits_;
  std::span<uint64_t> summary_;
};

}  // namespace sluice::flow

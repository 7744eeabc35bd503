// FirstUse: finds the second use of what may be used once, and points at the first. Used by the
// check_*.cc files.
#pragma once

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "ctrl/config/reader.h"

namespace sluice::ctrl {

template <typename Key>
class FirstUse {
 public:
  /// Reports `value` and returns false when `key` was noted before; `shown` is the key as people
  /// write it.
  bool note(const Key& key, const Value& value, std::string_view shown) {
    const auto [first, is_new] = places_.try_emplace(key, &value);
    if (!is_new) {
      value.reject(fmt::format("{} is already used at {}", shown, first->second->where()));
    }
    return is_new;
  }

  /// Where `key` was noted first, or null.
  const Value* find(const Key& key) const {
    const auto found = places_.find(key);
    return found == places_.end() ? nullptr : found->second;
  }

 private:
  std::map<Key, const Value*> places_;  // of the draft, which outlives this
};

}  // namespace sluice::ctrl

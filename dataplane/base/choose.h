// choose(): one of two values without a branch, for conditions that are as good as random: a
// branch on such a one is predicted wrong half of the time, at some 15 cycles. Compilers turn
// `?:` into whatever they like; arithmetic stays what it is. Pure; any thread.
#pragma once

#include <concepts>

namespace sluice {

/// `yes` when `condition`, else `no`.
template <std::unsigned_integral T>
inline T choose(bool condition, T yes, T no) {
  const T mask = static_cast<T>(T{0} - static_cast<T>(condition));
  return static_cast<T>(no ^ ((yes ^ no) & mask));
}

/// The same for places that both exist.
template <typename T>
inline T* choose(bool condition, T* yes, T* no) {
  return reinterpret_cast<T*>(choose(condition, reinterpret_cast<__UINTPTR_TYPE__>(yes),
                                     reinterpret_cast<__UINTPTR_TYPE__>(no)));
}

}  // namespace sluice

// Owner: which worker a tuple belongs to: Toeplitz hash → RETA → worker, always computed in
// software too, so that it holds whatever queue a packet came by. Immutable; any thread.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/base/assert.h"
#include "dataplane/wire/toeplitz.h"

namespace sluice::flow {

class Owner {
 public:
  static constexpr size_t reta_entries_default = 128;
  static constexpr size_t reta_entries_max = 512;

  /// `reta`: worker by the low bits of the hash; its size is a power of two up to
  /// reta_entries_max, every entry < workers. `toeplitz` outlives the owner.
  Owner(const wire::Toeplitz& toeplitz, std::span<const uint16_t> reta, unsigned workers)
      : toeplitz_(toeplitz), mask_(static_cast<uint32_t>(reta.size() - 1)), workers_(workers) {
    SLUICE_ASSERT(std::has_single_bit(reta.size()) && reta.size() <= reta_entries_max);
    for (size_t entry = 0; entry < reta.size(); ++entry) {
      SLUICE_ASSERT(reta[entry] < workers);
      reta_[entry] = reta[entry];
    }
  }

  /// The table that drivers set up by default: 128 entries, the workers in turn.
  Owner(const wire::Toeplitz& toeplitz, unsigned workers)
      : toeplitz_(toeplitz), mask_(reta_entries_default - 1), workers_(workers) {
    SLUICE_ASSERT(workers >= 1);
    for (size_t entry = 0; entry < reta_entries_default; ++entry) {
      reta_[entry] = static_cast<uint16_t>(entry % workers);
    }
  }

  template <typename Tuple>
  unsigned owner(const Tuple& tuple) const {
    return workers_ == 1 ? 0 : reta_[toeplitz_.hash(tuple) & mask_];
  }

  unsigned worker_of_entry(uint32_t entry) const { return reta_[entry]; }
  uint32_t reta_entries() const { return mask_ + 1; }
  unsigned workers() const { return workers_; }
  const wire::Toeplitz& toeplitz() const { return toeplitz_; }

 private:
  const wire::Toeplitz& toeplitz_;
  std::array<uint16_t, reta_entries_max> reta_{};
  uint32_t mask_;
  unsigned workers_;
};

}  // namespace sluice::flow

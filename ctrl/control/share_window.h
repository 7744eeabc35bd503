// ShareWindow: decisions per ref over the last minute at most, to compare the split that is
// served with the split that was asked for. ctrl thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "ctrl/control/bounded_json.h"

namespace sluice::ctrl {

class ShareWindow {
 public:
  using Decisions = std::map<uint16_t, uint64_t>;  // ref → total so far

  /// The shares changed: what was before says nothing about what is.
  void clear() { samples_.clear(); }
  void add(uint64_t now_ns, Decisions decisions);

  /// Adds window_ms, window_decisions, share_window and z to each pool of a proof record whose
  /// rule made decisions in the window. z = (k - n p) / sqrt(n p (1 - p)): the distance from the
  /// share asked, in standard deviations of independent clients; 0 where p is 0 or 1 and k agrees.
  void annotate(Json& proof, const std::map<std::string, uint16_t>& refs, uint64_t now_ns,
                const Decisions& now) const;

 private:
  struct Entry {
    uint64_t at_ns;
    Decisions decisions;
  };
  std::deque<Entry> samples_;
};

/// The key of `refs` above: route, rule and pool of a proof record's pool.
std::string window_key(const Json& pool);

}  // namespace sluice::ctrl

// StatusSource: the answers of `status`. One answer of a large configuration takes longer to make
// than to send, so a crowd of askers would keep the control thread from its work: an answer is used
// again while nothing has happened, for four times as long as it took to make, 100 ms at most.
// However many ask, no more than a fifth of the thread's time goes into it. ctrl thread only.
#pragma once

#include <cstdint>
#include <string>

#include "ctrl/control/route_facts.h"
#include "ctrl/control/status_view.h"

namespace sluice::ctrl {

class StatusSource {
 public:
  /// An object, or its text (rpc.h, as_text()).
  Json answer(const Controller& controller, const Identity& identity);

 private:
  /// What happened so far: an event was told, or tables were published or taken up.
  struct Moment {
    uint64_t events = 0, revision = 0, acknowledged = 0;
    bool operator==(const Moment&) const = default;
  };
  static Moment moment_of(const Controller& controller);

  SlotCounts slots_;
  std::string text_;  // empty: none to use again
  Moment made_at_;
  uint64_t use_until_ns_ = 0;
};

}  // namespace sluice::ctrl

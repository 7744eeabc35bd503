// StatusSource: the answers of `status`. One answer of a large configuration takes longer to make
// than to send, so a crowd of askers would keep the control thread from its work: after an answer
// the source rests for four times as long as it took, 100 ms at most, and then answers all that
// came meanwhile at once. So no more than a fifth of the thread's time goes into it, however many
// ask, and yet no answer is older than its question. ctrl thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "ctrl/control/route_facts.h"
#include "ctrl/control/rpc.h"
#include "ctrl/control/status_view.h"
#include "ctrl/runtime/event_loop.h"

namespace sluice::ctrl {

class StatusSource {
 public:
  StatusSource(EventLoop& loop, const Controller& controller, const Identity& identity)
      : loop_(loop), controller_(controller), identity_(identity) {}
  ~StatusSource();
  StatusSource(const StatusSource&) = delete;
  StatusSource& operator=(const StatusSource&) = delete;

  /// Answers with an object, or its text (rpc.h, as_text()): at once, or after the rest.
  void ask(Respond respond);

 private:
  void answer_after_rest();
  void answer_all();

  EventLoop& loop_;
  const Controller& controller_;
  const Identity& identity_;
  SlotCounts slots_;
  std::vector<Respond> waiting_;
  uint64_t rest_until_ns_ = 0;
  OperationId timer_ = 0;
  bool answering_ = false;
};

}  // namespace sluice::ctrl

// refuse: tells the ends of a connection that it will not be. RST for TCP, ICMP port unreachable
// for UDP, appended to burst.replies. Missing frames and packets that must not be answered
// (wire/reply.h) make no reply; the verdict is the caller's and stays.
#pragma once

#include <cstdint>

#include "dataplane/forward/burst.h"
#include "dataplane/forward/hop.h"
#include "dataplane/worker_state.h"

namespace sluice::dataplane {

/// RST to the sender of TCP packet `index`.
void reset_sender(forward::Burst& burst, uint32_t index, WorkerState& state);

/// RST to the other side of a TCP flow, as if the sender of packet `index` had closed it. `to` is
/// the tuple that the packet would have left with, through port `out` of `hop`.
template <typename Tuple>
void reset_onward(forward::Burst& burst, uint32_t index, const Tuple& to, const forward::Hop& hop,
                  const model::Port& out, WorkerState& state);

/// "Nobody here": RST for TCP, ICMP port unreachable (within the limit) for UDP.
void refuse(forward::Burst& burst, uint32_t index, WorkerState& state);

}  // namespace sluice::dataplane

#include "dataplane/refuse.h"

#include <cstring>
#include <span>

namespace sluice::dataplane {
namespace {

using forward::Burst;

/// Copies the reply in the scratch buffer, `bytes` long, into a frame that leaves through `port`.
void add_reply(Burst& burst, WorkerState& state, size_t bytes, uint8_t port) {
  if (bytes == 0 || burst.reply_count == forward::burst_replies_max) return;
  forward::Frame reply;
  if (!state.reply_source(reply)) return;
  SLUICE_ASSERT(reply.capacity >= bytes);
  std::memcpy(reply.data, state.reply_scratch.data(), bytes);
  reply.length = static_cast<uint16_t>(bytes);
  reply.port = port;
  burst.replies[burst.reply_count++] = reply;
}

bool may_send_icmp(const Burst& burst, WorkerState& state) {
  if (state.icmp_tick != burst.now_tick) {
    state.icmp_tick = burst.now_tick;
    state.icmp_replies = 0;
  }
  return state.icmp_replies++ < icmp_replies_per_tick_max;
}

}  // namespace

void reset_sender(Burst& burst, uint32_t index, WorkerState& state) {
  const forward::Frame& frame = burst.frames[index];
  const size_t bytes =
      wire::build_reset_to_sender(frame.bytes(), burst.packets[index], state.reply_scratch);
  add_reply(burst, state, bytes, frame.port);
}

template <typename Tuple>
void reset_onward(Burst& burst, uint32_t index, const Tuple& to, const forward::Hop& hop,
                  const model::Port& out, WorkerState& state) {
  const size_t bytes = wire::build_reset_onward(burst.frames[index].bytes(), burst.packets[index],
                                                to, hop.mac(), out.mac, state.reply_scratch);
  add_reply(burst, state, bytes, hop.port());
}

template void reset_onward(Burst&, uint32_t, const Tuple4&, const forward::Hop&, const model::Port&,
                           WorkerState&);
template void reset_onward(Burst&, uint32_t, const Tuple6&, const forward::Hop&, const model::Port&,
                           WorkerState&);

void refuse(Burst& burst, uint32_t index, WorkerState& state) {
  const forward::Frame& frame = burst.frames[index];
  if (burst.packets[index].protocol == protocol_tcp) {
    reset_sender(burst, index, state);
  } else if (may_send_icmp(burst, state)) {
    const size_t bytes =
        wire::build_port_unreachable(frame.bytes(), burst.packets[index], state.reply_scratch);
    add_reply(burst, state, bytes, frame.port);
  }
}

}  // namespace sluice::dataplane

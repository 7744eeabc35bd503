#include "dataplane/flow_listing.h"

#include <algorithm>

namespace sluice::dataplane {
namespace {

/// The whole revision of a flow, of which the record keeps the low 32 bits; it is not newer than
/// the one served now.
uint64_t whole_revision(uint32_t low, uint64_t served) {
  const uint64_t revision = (served & ~uint64_t{0xffff'ffff}) | low;
  return revision <= served || revision < (uint64_t{1} << 32) ? revision
                                                              : revision - (uint64_t{1} << 32);
}

template <typename Tuple>
FlowInfo describe(const flow::FlowRecord<Tuple>& record, uint16_t worker, uint64_t revision,
                  uint32_t now_tick) {
  FlowInfo info;
  info.worker = worker;
  info.protocol = record.protocol;
  info.state = record.state;
  info.client = {ip_address(record.from_client.source), swap16(record.from_client.source_port)};
  info.virtual_address = {ip_address(record.from_client.destination),
                          swap16(record.from_client.destination_port)};
  info.snat = {ip_address(record.from_backend.destination),
               swap16(record.from_backend.destination_port)};
  info.backend = {ip_address(record.from_backend.source), swap16(record.from_backend.source_port)};
  info.ref = record.ref;
  info.backend_id = record.backend;
  info.revision = whole_revision(record.revision, revision);
  info.idle_ms = (now_tick - record.last_seen_tick) * static_cast<uint32_t>(tick_ns / 1'000'000);
  return info;
}

}  // namespace

/// Returns the next cursor within the family, or no_flow.
template <typename Tuple>
uint32_t FlowListing::scan(WorkerState& state, uint64_t revision, uint32_t now_tick) {
  // One record at a time near the end of the page, so that the cursor stops right behind it.
  const auto room = static_cast<uint32_t>(rows_.size()) - count_;
  return state.connections<Tuple>().scan(
      at_.record, std::min(step_budget, room),
      [&](uint32_t, const flow::FlowRecord<Tuple>& record) {
        if (query_.ref >= 0 && record.ref != query_.ref) return;
        if (query_.backend >= 0 && record.backend != query_.backend) return;
        rows_[count_++] = describe(record, state.worker, revision, now_tick);
      });
}

bool FlowListing::step(WorkerState& state, uint64_t revision, uint32_t now_tick) {
  if (!at_.is_v6) {
    at_.record = scan<Tuple4>(state, revision, now_tick);
    if (at_.record == flow::no_flow) at_ = {at_.worker, true, 0};
  } else {
    at_.record = scan<Tuple6>(state, revision, now_tick);
    complete_ = at_.record == flow::no_flow;
  }
  return complete_ || is_full();
}

}  // namespace sluice::dataplane

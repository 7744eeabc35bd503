#include "dataplane/flow_listing.h"

#include <algorithm>
#include <utility>

namespace sluice::dataplane {
namespace {

constexpr uint32_t record_bits = 31;
constexpr uint64_t record_mask = (uint64_t{1} << record_bits) - 1;

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

FlowCursor FlowCursor::decode(uint64_t cursor) {
  if (cursor == 0) return {};
  const uint64_t place = cursor - 1;
  return {static_cast<uint16_t>(place >> (record_bits + 1)), (place >> record_bits & 1) != 0,
          static_cast<uint32_t>(place & record_mask)};
}

uint64_t FlowCursor::encode() const {
  return (uint64_t{worker} << (record_bits + 1) | uint64_t{is_v6} << record_bits | record) + 1;
}

FlowListing::FlowListing(const FlowQuery& query, unsigned workers)
    : query_(query),
      workers_(workers),
      at_(FlowCursor::decode(query.cursor)),
      rows_(std::clamp<uint32_t>(query.limit, 1, limit_max)) {}

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

FlowPage FlowListing::take_page() {
  FlowPage page;
  rows_.resize(count_);
  page.flows = std::move(rows_);
  if (!complete_) {
    page.next = at_.encode();
  } else if (at_.worker + 1u < workers_) {
    page.next = FlowCursor{static_cast<uint16_t>(at_.worker + 1), false, 0}.encode();
  }
  return page;
}

}  // namespace sluice::dataplane

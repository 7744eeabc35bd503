// The side of FlowListing that ctrl sees: it allocates, so it is no part of the packet path.
#include <algorithm>
#include <utility>

#include "dataplane/flow_listing.h"

namespace sluice::dataplane {
namespace {

constexpr uint32_t record_bits = 31;
constexpr uint64_t record_mask = (uint64_t{1} << record_bits) - 1;

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

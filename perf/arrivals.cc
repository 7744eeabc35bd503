#include "perf/arrivals.h"

#include "dataplane/base/byte_order.h"
#include "dataplane/wire/headers.h"

namespace sluice::perf {

void Arrivals::expect(std::span<const uint8_t> frame) const {
  Probe probe;
  if (frame.size() < format_.frame_bytes_min() || !format_.read(frame.data(), probe)) return;
  if (probe.flow >= templates_.plan().flows) return;
  _mm_prefetch(probe.from_backend ? templates_.client(probe.flow) : templates_.backend(probe.flow),
               _MM_HINT_T0);
  ledgers_[probe.from_backend ? 1 : 0].prefetch(probe.flow);
}

/// By Ethernet type and protocol: neighbour discovery and the like are not.
bool Arrivals::is_ours(std::span<const uint8_t> frame) const {
  if (frame.size() < format_.frame_bytes_min()) return false;
  const bool is_v4 = templates_.plan().family == Family::v4;
  const uint8_t* ip = frame.data() + wire::ethernet_header_bytes;
  const uint16_t type = is_v4 ? wire::ethernet::type_ipv4 : wire::ethernet::type_ipv6;
  return load_be16(frame.data() + wire::ethernet::type) == type &&
         ip[is_v4 ? wire::ipv4::protocol : wire::ipv6::next_header] == templates_.plan().protocol;
}

Arrival Arrivals::judge(unsigned port, std::span<const uint8_t> frame, Probe& probe) {
  if (!is_ours(frame)) return Arrival::foreign;
  if (!format_.read(frame.data(), probe) || probe.flow >= templates_.plan().flows) {
    return Arrival::corrupt;
  }
  // What a frame comes back as is the reverse of what its receiver sends.
  const uint8_t* answer =
      probe.from_backend ? templates_.client(probe.flow) : templates_.backend(probe.flow);
  if (frame.size() != templates_.frame_bytes(answer) ||
      frame.size() != templates_.frame_bytes(frame.data()) || !templates_.checksums_right(frame) ||
      !format_.filler_right(frame)) {
    return Arrival::corrupt;
  }
  if (port != (probe.from_backend ? 0u : 1u)) return Arrival::misdelivered;
  if (!templates_.reverses(answer, frame.data())) return Arrival::wrong_flow;
  switch (ledger(probe.from_backend).arrived(probe.flow, probe.sequence)) {
    case Order::next:
      return Arrival::good;
    case Order::late:
      return Arrival::late;
    case Order::again:
      return Arrival::duplicate;
    case Order::never_sent:
      return Arrival::corrupt;
  }
  return Arrival::corrupt;
}

}  // namespace sluice::perf

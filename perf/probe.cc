#include "perf/probe.h"

#include <nmmintrin.h>

#include <algorithm>
#include <cstring>

#include "dataplane/base/byte_order.h"
#include "dataplane/wire/checksum.h"
#include "dataplane/wire/headers.h"

namespace sluice::perf {
namespace {

constexpr uint32_t backend_bit = 1u << 31;
constexpr uint64_t check_seed = 0x5a17'e5c0;

uint32_t check_of(uint32_t flow_word, uint32_t sequence, uint32_t stamp) {
  const uint64_t crc = _mm_crc32_u64(check_seed, uint64_t{flow_word} << 32 | sequence);
  return static_cast<uint32_t>(_mm_crc32_u64(crc, stamp));
}

}  // namespace

ProbeFormat::ProbeFormat(const FlowTemplates& templates) : templates_(templates) {
  const size_t l4 = templates.l4_offset();
  const bool is_tcp = templates.plan().protocol == protocol_tcp;
  flow_at_ = templates.payload_offset();
  check_at_ = flow_at_ + 4;
  sequence_at_ = is_tcp ? l4 + wire::tcp::sequence : flow_at_ + 8;
  stamp_at_ = is_tcp ? l4 + wire::tcp::acknowledgement : flow_at_ + 12;
  checksum_at_ = l4 + (is_tcp ? wire::tcp::checksum : wire::udp::checksum);
  probe_end_ = flow_at_ + payload_bytes(templates.plan().protocol);
  // Templates end in zeros; behind them lies what the buffers were filled with.
  const size_t from = templates.template_bytes();
  for (size_t at = from; at < filler_.size(); ++at) filler_[at] = filler_at(at);
  const size_t counted_from = std::max(from, probe_end_);
  for (size_t bytes = counted_from; bytes <= filler_.size(); ++bytes) {
    filler_sums_[bytes] =
        wire::fold(wire::sum_bytes({filler_.data() + counted_from, bytes - counted_from}));
  }
}

void ProbeFormat::write(uint8_t* frame, uint16_t bytes, const Probe& probe) const {
  const uint32_t flow_word = probe.flow | (probe.from_backend ? backend_bit : 0);
  const uint32_t check = check_of(flow_word, probe.sequence, probe.stamp);
  store(frame + flow_at_, flow_word);
  store(frame + check_at_, check);
  store(frame + sequence_at_, probe.sequence);
  store(frame + stamp_at_, probe.stamp);
  // These fields were zeros in the template, so adding them is all it takes (RFC 1624 eqn 3).
  const uint64_t sum = uint64_t{flow_word} + check + probe.sequence + probe.stamp +
                       filler_sums_[bytes] +
                       static_cast<uint16_t>(~load<uint16_t>(frame + checksum_at_));
  const uint16_t checksum = wire::finish_checksum(sum);
  const bool is_udp = templates_.plan().protocol == protocol_udp;
  store(frame + checksum_at_, is_udp && checksum == 0 ? uint16_t{0xffff} : checksum);
}

bool ProbeFormat::read(const uint8_t* frame, Probe& probe) const {
  const auto flow_word = load<uint32_t>(frame + flow_at_);
  probe.flow = flow_word & ~backend_bit;
  probe.from_backend = (flow_word & backend_bit) != 0;
  probe.sequence = load<uint32_t>(frame + sequence_at_);
  probe.stamp = load<uint32_t>(frame + stamp_at_);
  return load<uint32_t>(frame + check_at_) == check_of(flow_word, probe.sequence, probe.stamp);
}

bool ProbeFormat::filler_right(std::span<const uint8_t> frame) const {
  return frame.size() <= filler_.size() &&
         std::memcmp(frame.data() + probe_end_, filler_.data() + probe_end_,
                     frame.size() - probe_end_) == 0;
}

}  // namespace sluice::perf

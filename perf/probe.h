// Probe: what the generator puts into every packet so that whatever comes back can be judged:
// flow, direction, sequence number, time stamp, a check over these, and a filler of known bytes.
// 16 bytes behind a UDP header. A TCP frame of 64 bytes has no room for that: there sequence number
// and stamp travel in the header's sequence and acknowledgement numbers, which a NAT leaves alone.
// Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "perf/flow_templates.h"

namespace sluice::perf {

inline constexpr uint16_t probe_frame_bytes_max = 1514;

struct Probe {
  uint32_t flow = 0;  // position in FlowTemplates, below 2^31
  bool from_backend = false;
  uint32_t sequence = 0;  // of the flow in its direction, from 1
  uint32_t stamp = 0;     // stamp_of() when it was sent
};

/// Time stamps: TSC in units of 4 cycles. They wrap after 7 s at 2.4 GHz.
inline uint32_t stamp_of(uint64_t cycles) { return static_cast<uint32_t>(cycles >> 2); }
inline uint64_t cycles_between(uint32_t sent, uint32_t received) {
  return uint64_t{received - sent} << 2;
}

class ProbeFormat {
 public:
  /// `templates` outlives this and were made with payload_bytes() as FlowPlan::payload_bytes_min.
  explicit ProbeFormat(const FlowTemplates& templates);

  static constexpr uint16_t payload_bytes(uint8_t protocol) {
    return protocol == protocol_tcp ? 8 : 16;
  }

  /// The byte that a frame has at `offset` behind its template and probe.
  static uint8_t filler_at(size_t offset) { return static_cast<uint8_t>(offset * 151 >> 3); }

  /// Puts a probe into `frame`, a finished template of `bytes` bytes with filler behind it, and
  /// adds both to its L4 checksum.
  void write(uint8_t* frame, uint16_t bytes, const Probe& probe) const;

  /// Shortest frame that holds a probe.
  size_t frame_bytes_min() const { return probe_end_; }

  /// Reads the probe of a frame that is at least frame_bytes_min() long. False: its check is wrong.
  bool read(const uint8_t* frame, Probe& probe) const;

  /// Whether the filler behind the probe is what it was.
  bool filler_right(std::span<const uint8_t> frame) const;

 private:
  const FlowTemplates& templates_;
  size_t flow_at_, check_at_, sequence_at_, stamp_at_, checksum_at_, probe_end_;
  std::array<uint8_t, probe_frame_bytes_max> filler_{};
  // Sum of the filler that no template holds, by length of the frame.
  std::array<uint32_t, probe_frame_bytes_max + 1> filler_sums_{};
};

}  // namespace sluice::perf

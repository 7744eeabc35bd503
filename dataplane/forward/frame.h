// Frame: one Ethernet frame in one contiguous piece, wherever it lies: an mbuf in the worker, a
// heap buffer in tests and the fuzzer. FrameSource hands out empty frames for replies.
// POD; one worker at a time.
#pragma once

#include <cstdint>
#include <span>

namespace sluice::forward {

/// What the device said about a received frame.
enum FrameFlag : uint8_t {
  bad_l4_checksum_reported = 1,
};

struct Frame {
  uint8_t* data = nullptr;  // Ethernet header
  uint16_t length = 0;      // bytes of the frame, without FCS
  uint16_t capacity = 0;    // of an empty frame: bytes that may be written at `data`
  uint8_t port = 0;         // received on, or to be sent on; index into Snapshot::ports
  uint8_t flags = 0;        // FrameFlag
  void* handle = nullptr;   // the owner's: an rte_mbuf*, or nothing

  std::span<const uint8_t> bytes() const { return {data, length}; }
};

/// Where the pipeline gets frames for RST and ICMP. A plain function pointer: the pipeline knows
/// neither mbufs nor heaps.
struct FrameSource {
  void* context = nullptr;
  /// Fills `frame` (data, capacity, handle) with an empty one; false when there is none.
  bool (*take)(void* context, Frame& frame) = nullptr;

  bool operator()(Frame& frame) const { return take != nullptr && take(context, frame); }
};

}  // namespace sluice::forward

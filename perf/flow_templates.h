// FlowTemplates: the frames of a given number of flows, one per flow and direction, ready to be
// copied. Client frames are made up; frames of backends are learned from what the device under
// test sends to them, so that any translation is answered correctly. One learning frame carries its
// flow's number behind the L4 header. Written before the run, then read-only.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/tuple.h"

namespace sluice::perf {

inline constexpr uint16_t learning_frame_bytes = 128;
inline constexpr uint16_t listener_port_first = 1000;  // listener n: 10.0.0.100 port 1000 + n

struct FlowPlan {
  uint32_t flows = 1;
  uint16_t frame_bytes = 64;  // without FCS; 0: IMIX, 7:4:1 of 64, 570 and 1,500 bytes
  uint8_t protocol = protocol_udp;
  Family family = Family::v4;
  uint32_t listeners = 1;
  double zipf = 0;     // exponent; 0: every flow once a round, in an order of its own
  bool learns = true;  // false: backends answer the client frame itself (for a device without NAT)
  uint64_t seed = 1;   // of the orders in which flows are opened and used
  uint16_t payload_bytes_min = 0;  // frames that are too short for it are made longer
};

/// TCP flags of a frame.
enum class Stage : uint8_t { opening, answering, running };

class FlowTemplates {
 public:
  static constexpr size_t line_bytes = 64;

  explicit FlowTemplates(const FlowPlan& plan);

  const FlowPlan& plan() const { return plan_; }
  size_t template_bytes() const { return template_bytes_; }
  const uint8_t* client(uint32_t position) const { return &client_[position * template_bytes_]; }
  const uint8_t* backend(uint32_t position) const { return &backend_[position * template_bytes_]; }

  /// Bytes of the frame that a template stands for, from its own IP header.
  uint16_t frame_bytes(const uint8_t* frame) const;

  size_t l4_offset() const;
  size_t payload_offset() const;

  /// Whether a frame's IPv4 header checksum (if it has one) and its L4 checksum are right; `frame`
  /// is as long as its IP header says.
  bool checksums_right(std::span<const uint8_t> frame) const;

  /// Whether addresses and ports of `came` are those of `sent` with the ends exchanged.
  bool reverses(const uint8_t* sent, const uint8_t* came) const;

  /// Writes the learning frame of a flow, learning_frame_bytes long.
  void write_opening(uint32_t position, uint8_t* frame) const;
  void write_answer(uint32_t position, uint8_t* frame) const;

  bool is_learning(std::span<const uint8_t> frame) const { return position_of(frame) >= 0; }

  /// A learning frame that arrived at the backends: the flow answers with its reverse from now on.
  /// Returns the flow's position, or -1 when the frame is not one of ours.
  int64_t learn(std::span<const uint8_t> frame);

  /// A learning frame that came back to the clients: the flow's position when its tuple is the
  /// reverse of what that client sent, else -1.
  int64_t confirm(std::span<const uint8_t> frame) const;

  /// Sets every frame to its final length and flags.
  void finish();

 private:
  void write_client(uint32_t position);
  void write_learning(const uint8_t* from, uint32_t position, uint8_t flags, uint8_t* to) const;
  void set_length(uint8_t* frame, uint16_t frame_bytes) const;
  void set_flags(uint8_t* frame, uint8_t flags) const;
  uint64_t l4_sum(const uint8_t* frame, uint16_t bytes, size_t bytes_there) const;
  void set_l4_checksum(uint8_t* frame, uint16_t bytes, size_t bytes_there) const;
  uint16_t final_bytes(uint32_t position) const;
  int64_t position_of(std::span<const uint8_t> frame) const;

  FlowPlan plan_;
  size_t template_bytes_;
  std::vector<uint8_t> client_;
  std::vector<uint8_t> backend_;
};

}  // namespace sluice::perf

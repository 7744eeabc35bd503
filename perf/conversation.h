// Conversation: the frames of connections that come and go, written and read back without a
// template for each: a frame says itself which connection it is of and what comes next. TCP goes
// SYN, SYN|ACK, ACK, request, response, FIN, FIN|ACK, ACK with true sequence numbers; UDP is a
// request and a response. Pure; any thread. Addresses are those of FlowTemplates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/base/tuple.h"

namespace sluice::perf {

/// Why a connection is there; part of its identity.
enum class Kind : uint8_t {
  churn,  // opened, used and closed
  live,   // opened, then kept
  flood,  // a SYN that nobody answers
};

/// In the order in which they pass the device under test. `ping` and `pong` are data of a live
/// connection.
enum class Step : uint8_t {
  syn,
  syn_ack,
  ack,
  request,
  response,
  fin,
  fin_ack,
  last_ack,
  ping,
  pong
};
inline constexpr size_t step_count = 10;

inline constexpr bool is_from_client(Step step) {
  return step != Step::syn_ack && step != Step::response && step != Step::fin_ack &&
         step != Step::pong;
}

struct Message {
  Kind kind = Kind::churn;
  Step step = Step::syn;
  uint32_t id = 0;  // within its kind
  bool operator==(const Message&) const = default;
};

/// What a frame says that the device under test has sent.
struct Seen {
  Message message;
  /// Source and destination as the receiver sees them, never 0: the same for each packet of a
  /// connection, or the device has lost it.
  uint64_t endpoints = 0;
  /// At a backend, of the first packet of a connection: its parts were decided by snapshots of
  /// different parity (DutSnapshots::next_marked). Means nothing for other snapshots.
  bool is_mixed = false;
};

class Conversation {
 public:
  static constexpr size_t frame_bytes_max = 96;

  Conversation(Family family, uint8_t protocol, uint32_t listeners)
      : family_(family), protocol_(protocol), listeners_(listeners) {}

  bool is_tcp() const { return protocol_ == protocol_tcp; }

  /// Writes a client's frame to the listener; returns its length.
  uint16_t write(const Message& message, uint8_t* frame) const;

  /// Writes the receiver's next frame to whoever sent `from`, a frame that read() has accepted.
  uint16_t answer(const uint8_t* from, const Message& message, uint8_t* frame) const;

  /// Reads a frame that reached a backend, or a client. Nothing when it is not one of ours, a
  /// checksum is wrong, or its addresses are not those that this receiver must see.
  std::optional<Seen> read_at_backend(std::span<const uint8_t> frame) const;
  std::optional<Seen> read_at_client(std::span<const uint8_t> frame) const;

  /// A TCP RST, whoever it is for.
  bool is_reset(std::span<const uint8_t> frame) const;

 private:
  size_t ip_bytes() const;
  size_t l4_at() const;
  size_t payload_at() const;
  uint16_t finish(const Message& message, uint8_t* frame) const;
  void write_client_addresses(const Message& message, uint8_t* frame) const;
  uint64_t l4_sum(const uint8_t* frame, size_t l4_bytes) const;
  bool is_whole(std::span<const uint8_t> frame) const;
  std::optional<Message> message_of(const uint8_t* frame) const;
  uint64_t endpoints_of(const uint8_t* frame) const;
  bool is_mixed(const uint8_t* frame) const;

  Family family_;
  uint8_t protocol_;
  uint32_t listeners_;
};

}  // namespace sluice::perf

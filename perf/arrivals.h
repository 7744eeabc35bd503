// Arrivals: what the generator demands of a packet that comes out of the device under test: whole,
// on the right side, translated as its flow was when it was opened, and for the first time. Free of
// DPDK; one thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "perf/probe.h"
#include "perf/sequence_ledger.h"

namespace sluice::perf {

enum class Arrival : uint8_t {
  good,
  late,          // good, but a later one of its flow was faster
  foreign,       // not a packet of this generator
  corrupt,       // bytes, length or a checksum are wrong
  misdelivered,  // came out where its like goes in
  wrong_flow,    // whole, but with addresses or ports of another flow
  duplicate,
};

inline constexpr std::array<std::string_view, 7> arrival_names = {
    "good", "late", "foreign", "corrupt", "misdelivered", "wrong_flow", "duplicate"};

class Arrivals {
 public:
  /// `templates` has learned every flow and outlives this.
  explicit Arrivals(const FlowTemplates& templates)
      : templates_(templates),
        format_(templates),
        ledgers_{SequenceLedger(templates.plan().flows), SequenceLedger(templates.plan().flows)} {}

  const ProbeFormat& format() const { return format_; }

  /// Of client packets [0] and of backends' answers [1].
  SequenceLedger& ledger(bool from_backend) { return ledgers_[from_backend ? 1 : 0]; }

  /// Reads what flow a frame says it is of, and fetches what judge() needs for it.
  void expect(std::span<const uint8_t> frame) const;

  /// What is to be said of a frame that came in at `port`; 0: the clients', 1: the backends'.
  /// `probe` is set for good and late ones.
  Arrival judge(unsigned port, std::span<const uint8_t> frame, Probe& probe);

 private:
  bool is_ours(std::span<const uint8_t> frame) const;

  const FlowTemplates& templates_;
  ProbeFormat format_;
  std::array<SequenceLedger, 2> ledgers_;
};

}  // namespace sluice::perf

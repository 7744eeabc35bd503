// SequenceLedger: numbers the packets of every flow and direction, and says of each number that
// comes back whether it is new, late or was there before. Remembers the last 32 numbers of a flow,
// like the anti-replay window of RFC 4303 §3.4.3. One thread.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <vector>

namespace sluice::perf {

enum class Order : uint8_t { next, late, again, never_sent };

class SequenceLedger {
 public:
  explicit SequenceLedger(uint32_t flows) : lines_(flows) {}

  /// The number of the next packet of `flow`, from 1.
  uint32_t next(uint32_t flow) { return ++lines_[flow].sent; }

  /// The number was not sent after all; only for the latest of a flow.
  void take_back(uint32_t flow) { --lines_[flow].sent; }

  /// Notes an arrival. What is older than the window counts as `again`: who held a packet back for
  /// so long cannot be told from who sent it twice, and neither may happen.
  Order arrived(uint32_t flow, uint32_t sequence) {
    Line& line = lines_[flow];
    if (sequence == 0 || sequence > line.sent) return Order::never_sent;
    if (sequence > line.highest) {
      const uint32_t step = sequence - line.highest;
      line.window = step < 32 ? line.window << step | 1 : 1;
      line.highest = sequence;
      return Order::next;
    }
    const uint32_t age = line.highest - sequence;
    if (age >= 32 || (line.window >> age & 1) != 0) return Order::again;
    line.window |= 1u << age;
    return Order::late;
  }

  void prefetch(uint32_t flow) const { _mm_prefetch(&lines_[flow], _MM_HINT_T0); }

 private:
  struct alignas(16) Line {
    uint32_t sent = 0;
    uint32_t highest = 0;
    uint32_t window = 0;  // bit n: highest - n arrived
  };
  std::vector<Line> lines_;
};

}  // namespace sluice::perf

#include "dataplane/flow/port_allocator.h"

#include <utility>

namespace sluice::flow {
namespace {

/// SplitMix64 (Steele, Lea, Flood 2014). Orders ports; keeps nothing secret by itself.
uint64_t next_random(uint64_t& state) {
  state += 0x9e37'79b9'7f4a'7c15u;
  uint64_t value = state;
  value = (value ^ (value >> 30)) * 0xbf58'476d'1ce4'e5b9u;
  value = (value ^ (value >> 27)) * 0x94d0'49bb'1331'11ebu;
  return value ^ (value >> 31);
}

bool is_allowed(std::span<const uint64_t> allowed, uint32_t port) {
  return port / 64 < allowed.size() && (allowed[port / 64] >> port % 64 & 1) != 0;
}

void shuffle(std::span<uint16_t> ports, uint64_t& random) {
  for (size_t left = ports.size(); left > 1; --left) {
    std::swap(ports[left - 1], ports[next_random(random) % left]);
  }
}

}  // namespace

template <typename Tuple>
PortAllocator<Tuple>::PortAllocator(const Owner& owner, unsigned worker,
                                    std::span<const uint64_t> allowed, uint64_t seed)
    : owner_(owner) {
  SLUICE_ASSERT(worker < owner.workers());
  const uint32_t classes = owner.reta_entries();
  for (uint32_t entry = 0; entry < classes; ++entry) {
    if (owner.worker_of_entry(entry) != worker) continue;
    entries_[entry_count_++] = static_cast<uint16_t>(entry);
  }
  // Counting sort: sizes, then where each class begins, then the ports.
  for (uint32_t port = 1; port < 65'536; ++port) {
    if (!is_allowed(allowed, port)) continue;
    ++first_[class_of_port(swap16(static_cast<uint16_t>(port))) + 1];
  }
  for (uint32_t i = 0; i < classes; ++i) first_[i + 1] += first_[i];
  for (uint32_t i = 0; i < classes; ++i) turn_[i] = first_[i];
  for (uint32_t port = 1; port < 65'536; ++port) {
    if (!is_allowed(allowed, port)) continue;
    const uint16_t raw = swap16(static_cast<uint16_t>(port));
    ports_[turn_[class_of_port(raw)]++] = raw;
  }
  for (uint32_t i = 0; i < classes; ++i) {
    shuffle(std::span(ports_).subspan(first_[i], first_[i + 1] - first_[i]), seed);
    turn_[i] = first_[i];
  }
  shuffle(std::span(entries_).first(entry_count_), seed);
}

template class PortAllocator<Tuple4>;
template class PortAllocator<Tuple6>;

}  // namespace sluice::flow

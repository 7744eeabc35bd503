// PortAllocator: SNAT ports such that the reply comes back to the worker that asks. The Toeplitz
// hash is linear: hash(reply with port p) = hash(reply with port 0) ^ part(p). So the allowed
// ports are sorted into classes by the low bits of their part; for a reply tuple, the classes
// that reach this worker follow by XOR, and each gives its next port. O(1) a candidate.
//
// A candidate is right for the owner, not yet unique: the caller looks the reply tuple up in its
// flow table and takes the first candidate that is not there. One worker and family; 140 KiB,
// nothing is allocated. Ports are raw (network order), as in the tuples.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/flow/owner.h"

namespace sluice::flow {

template <typename Tuple>
class PortAllocator {
 public:
  /// Candidates per flow. Where 9 of 10 ports to one backend are in use, one flow in 700,000 finds
  /// none free among these.
  static constexpr unsigned tries_max = 128;

  /// `allowed`: a bitmap over 65,536 ports in host order (model::SnatPortSet); port 0 is never
  /// given. `seed`, drawn at random at start, decides the order of the ports, so that nobody
  /// can guess the next one and a restart does not begin with the ports it used last. `owner`
  /// outlives the allocator.
  PortAllocator(const Owner& owner, unsigned worker, std::span<const uint64_t> allowed,
                uint64_t seed);

  /// Candidates for one flow. Do not interleave two of them.
  class Candidates {
   public:
    /// A port, raw; 0 when the tries are used up or no allowed port reaches this worker.
    uint16_t next() {
      if (tries_left_ == 0) return 0;
      --tries_left_;
      return allocator_.take(hash_);
    }

   private:
    friend class PortAllocator;
    Candidates(PortAllocator& allocator, uint32_t hash) : allocator_(allocator), hash_(hash) {}
    PortAllocator& allocator_;
    uint32_t hash_;  // of the reply with port 0
    unsigned tries_left_ = tries_max;
  };

  /// `reply`: backend → SNAT address; its destination_port does not matter.
  Candidates candidates(const Tuple& reply) {
    const wire::Toeplitz& toeplitz = owner_.toeplitz();
    const uint32_t hash = toeplitz.hash(reply) ^
                          toeplitz.template destination_port_part<Tuple>(reply.destination_port);
    return Candidates(*this, hash);
  }

  /// Allowed ports, whichever worker they reach.
  uint32_t size() const { return first_[owner_.reta_entries()]; }

 private:
  static constexpr size_t classes_max = Owner::reta_entries_max;

  uint32_t class_of_port(uint16_t port_raw) const {
    return owner_.toeplitz().template destination_port_part<Tuple>(port_raw) &
           (owner_.reta_entries() - 1);
  }

  /// The next port of the next class that reaches this worker. Classes are empty only when few
  /// ports are allowed; they are passed over.
  uint16_t take(uint32_t hash) {
    for (uint32_t step = 0; step < entry_count_; ++step) {
      const uint32_t entry = entries_[rotor_];
      rotor_ = rotor_ + 1 == entry_count_ ? 0 : rotor_ + 1;
      const uint32_t port_class = (entry ^ hash) & (owner_.reta_entries() - 1);
      const uint32_t begin = first_[port_class];
      const uint32_t end = first_[port_class + 1];
      if (begin == end) continue;
      uint32_t& turn = turn_[port_class];
      const uint16_t port = ports_[turn];
      turn = turn + 1 == end ? begin : turn + 1;
      return port;
    }
    return 0;
  }

  const Owner& owner_;
  uint32_t rotor_ = 0;
  uint32_t entry_count_ = 0;                       // RETA entries of this worker
  std::array<uint16_t, classes_max> entries_{};    // which they are
  std::array<uint32_t, classes_max + 1> first_{};  // by class: its ports begin here in ports_
  std::array<uint32_t, classes_max> turn_{};       // by class: its next port in ports_
  std::array<uint16_t, 65'536> ports_{};           // raw, by class, shuffled within each
};

extern template class PortAllocator<Tuple4>;
extern template class PortAllocator<Tuple6>;

}  // namespace sluice::flow

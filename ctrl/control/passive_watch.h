// PassiveWatch: samples the data plane's trouble with backends (handshakes unanswered or refused)
// and has a backend suspected when its pool's threshold is passed within its window. ctrl thread.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>

#include "ctrl/compile/registry.h"
#include "ctrl/control/node.h"
#include "ctrl/control/sampler.h"

namespace sluice::ctrl {

class PassiveWatch {
 public:
  /// Call about once a second. Looks only at pools that ask for it.
  void sample(const Config& config, const Registry& registry, const Sampler& sampler, Node& node,
              uint64_t now_ns);

 private:
  struct Happened {
    uint64_t at_ns;
    BackendTrouble trouble;
  };
  struct Watched {
    uint32_t incarnation = 0;
    uint64_t seen_ns = 0;  // of the last sample: what is not sampled any more is forgotten
    BackendTrouble before;
    std::deque<Happened> window;  // one entry per sample with trouble
  };
  /// The trouble within the window after this sample.
  static BackendTrouble add(Watched& watched, const BackendTrouble& now, uint64_t now_ns,
                            uint64_t window_ns);

  std::unordered_map<uint16_t, Watched> watched_;  // by backend id
};

}  // namespace sluice::ctrl

// Target: what the monitor probes, one per (endpoint, check), and the backends that it stands for.
// Belongs to monitor.cc. Loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "ctrl/compile/registry.h"
#include "ctrl/health/check.h"
#include "ctrl/health/judge.h"
#include "ctrl/health/probe.h"
#include "ctrl/health/timer_wheel.h"

namespace sluice::ctrl {

struct Target;

/// One backend of one pool.
struct Subscriber {
  HealthConfig config;
  HealthState state;
  Target* target = nullptr;
};

class TargetOwner {
 public:
  virtual void due(Target& target) = 0;

 protected:
  ~TargetOwner() = default;
};

/// The timer is the next deadline or, while a probe is under way, its limit.
struct Target final : TimerWheel::Timer {
  using Entry = std::pair<const BackendKey, Subscriber>;

  Target(TargetOwner& owner, const Endpoint& backend, std::shared_ptr<const Check> what)
      : owner(owner), endpoint(backend), check(std::move(what)) {}
  ~Target() {
    if (probe) probe->abandon();
  }

  TargetOwner& owner;
  Endpoint endpoint;
  std::shared_ptr<const Check> check;
  uint32_t interval_ms = 0;
  std::vector<Entry*> subscribers;

  std::shared_ptr<Probe> probe;
  bool waiting = false;      // in line
  uint64_t serial = 0;       // the index of the first deadline's place; names it in the line
  uint64_t deadline_ns = 0;  // of the probe that is due next, under way or in line
  bool first = true;         // no deadline has passed yet
  ProbeResult last;
  uint64_t last_ns = 0;
  bool certificate_told = false;

 private:
  void due(uint64_t) override { owner.due(*this); }
};

}  // namespace sluice::ctrl

#include "ctrl/control/sampler.h"

#include <algorithm>

namespace sluice::ctrl {

RefTotals Sampler::raw_ref(uint16_t ref) const {
  RefTotals totals;
  for (unsigned worker = 0; worker < engine_.worker_count(); worker++) {
    const dataplane::RefCounters& counters = engine_.counters(worker).refs[ref];
    totals.ended += counters.ended.get();  // before decisions: active is never below the truth
    totals.decisions += counters.decisions.get();
    totals.refused += counters.refused.get();
    totals.resets += counters.resets.get();
    totals.packets_in += counters.traffic[0].packets.get();
    totals.bytes_in += counters.traffic[0].bytes.get();
    totals.packets_out += counters.traffic[1].packets.get();
    totals.bytes_out += counters.traffic[1].bytes.get();
    totals.last_decision_ns = std::max(totals.last_decision_ns, counters.last_decision_ns.get());
  }
  return totals;
}

BackendSample Sampler::raw_backend(uint16_t id) const {
  BackendSample totals;
  for (unsigned worker = 0; worker < engine_.worker_count(); worker++) {
    const dataplane::BackendCounters& counters = engine_.counters(worker).backends[id];
    totals.ended += counters.ended.get();
    totals.connections += counters.connections.get();
  }
  return totals;
}

BackendTrouble Sampler::raw_trouble(uint16_t id) const {
  BackendTrouble trouble;
  for (unsigned worker = 0; worker < engine_.worker_count(); worker++) {
    const dataplane::BackendCounters& counters = engine_.counters(worker).backends[id];
    trouble.unanswered += counters.unanswered.get();
    trouble.refused += counters.refused.get();
  }
  return trouble;
}

BackendTrouble Sampler::trouble(uint16_t id) const {
  BackendTrouble trouble = raw_trouble(id);
  const auto at = trouble_bases_.find(id);
  if (at == trouble_bases_.end()) return trouble;
  trouble.unanswered -= at->second.unanswered;
  trouble.refused -= at->second.refused;
  return trouble;
}

RefTotals Sampler::ref(uint16_t ref) const {
  RefTotals totals = raw_ref(ref);
  const auto at = ref_bases_.find(ref);
  if (at == ref_bases_.end()) return totals;
  const RefTotals& base = at->second;
  totals.decisions -= base.decisions;
  totals.ended -= base.ended;
  totals.refused -= base.refused;
  totals.resets -= base.resets;
  totals.packets_in -= base.packets_in;
  totals.bytes_in -= base.bytes_in;
  totals.packets_out -= base.packets_out;
  totals.bytes_out -= base.bytes_out;
  if (totals.last_decision_ns == base.last_decision_ns) totals.last_decision_ns = 0;
  return totals;
}

BackendSample Sampler::backend(uint16_t id) const {
  BackendSample totals = raw_backend(id);
  const auto at = backend_bases_.find(id);
  if (at == backend_bases_.end()) return totals;
  return {.connections = totals.connections - at->second.connections,
          .ended = totals.ended - at->second.ended};
}

void Sampler::ref_released(uint16_t ref) { ref_bases_[ref] = raw_ref(ref); }

void Sampler::backend_released(uint16_t id) {
  backend_bases_[id] = raw_backend(id);
  trouble_bases_[id] = raw_trouble(id);
}

Sample Sampler::sample(uint64_t now_ns, const std::set<uint16_t>& refs,
                       const std::set<uint16_t>& backends) const {
  Sample sample;
  sample.at_ns = now_ns;
  for (unsigned worker = 0; worker < engine_.worker_count(); worker++) {
    sample.workers.push_back(engine_.acknowledgement(worker));
  }
  for (const uint16_t ref : refs) {
    const RefTotals totals = this->ref(ref);
    RefSample& into = sample.refs[ref];
    into.decisions = totals.decisions;
    into.ended = totals.ended;
    into.last_decision_ns = totals.last_decision_ns;
    for (unsigned worker = 0; worker < engine_.worker_count(); worker++) {
      into.last_revision.push_back(engine_.counters(worker).refs[ref].last_decision_revision.get());
    }
  }
  for (const uint16_t id : backends) sample.backends[id] = backend(id);
  return sample;
}

}  // namespace sluice::ctrl

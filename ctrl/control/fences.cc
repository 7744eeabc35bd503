#include "ctrl/control/fences.h"

#include <algorithm>

namespace sluice::ctrl {

void Fences::end_now(const ProofPlan& plan, uint64_t revision) {
  for (const ProofPool& pool : plan.pools) {
    if (pool.must_drain) reset_before_[pool.ref] = revision;
  }
  for (const ProofBackend& backend : plan.backends) {
    if (backend.must_drain) absent_backends_.insert(backend.id);
  }
}

void Fences::end_at(const ProofPlan& plan, uint64_t deadline_ns) {
  Deadline deadline{.at_ns = deadline_ns, .refs = {}, .backends = {}};
  for (const ProofPool& pool : plan.pools) {
    if (pool.must_drain) deadline.refs.insert(pool.ref);
  }
  for (const ProofBackend& backend : plan.backends) {
    if (backend.must_drain) deadline.backends.insert(backend.id);
  }
  if (!deadline.refs.empty() || !deadline.backends.empty()) {
    deadlines_.push_back(std::move(deadline));
  }
}

void Fences::keep_only(const ClosedRefs& closed, const std::set<uint16_t>& drained_backends) {
  const auto is_open = [&](uint16_t ref) { return closed.since(ref) == 0; };
  const auto is_back = [&](uint16_t id) { return !drained_backends.contains(id); };
  // A reset that was published stays: the flows it meant are those decided before it.
  std::erase_if(absent_backends_, is_back);
  for (Deadline& deadline : deadlines_) {
    std::erase_if(deadline.refs, is_open);
    std::erase_if(deadline.backends, is_back);
  }
  forget_met_deadlines();
}

bool Fences::expire(uint64_t now_ns, uint64_t revision) {
  bool any = false;
  for (const Deadline& deadline : deadlines_) {
    if (deadline.at_ns > now_ns) continue;
    any = true;
    for (const uint16_t ref : deadline.refs) reset_before_[ref] = revision;
    absent_backends_.insert(deadline.backends.begin(), deadline.backends.end());
  }
  std::erase_if(deadlines_, [&](const Deadline& deadline) { return deadline.at_ns <= now_ns; });
  return any;
}

std::optional<uint64_t> Fences::next_deadline_ns() const {
  if (deadlines_.empty()) return std::nullopt;
  return std::ranges::min(deadlines_, {}, &Deadline::at_ns).at_ns;
}

std::optional<uint64_t> Fences::ends_at_ns(uint16_t ref) const {
  for (const Deadline& deadline : deadlines_) {
    if (deadline.refs.contains(ref)) return deadline.at_ns;
  }
  return reset_before_.contains(ref) ? std::optional<uint64_t>(0) : std::nullopt;
}

std::optional<uint64_t> Fences::backend_ends_at_ns(uint16_t id) const {
  for (const Deadline& deadline : deadlines_) {
    if (deadline.backends.contains(id)) return deadline.at_ns;
  }
  return absent_backends_.contains(id) ? std::optional<uint64_t>(0) : std::nullopt;
}

void Fences::forget_empty(const Sampler& sampler) {
  const auto ref_empty = [&](uint16_t ref) { return sampler.ref(ref).active() == 0; };
  const auto backend_empty = [&](uint16_t id) { return sampler.backend(id).active() == 0; };
  std::erase_if(reset_before_, [&](const auto& entry) { return ref_empty(entry.first); });
  std::erase_if(absent_backends_, backend_empty);
  for (Deadline& deadline : deadlines_) {
    std::erase_if(deadline.refs, ref_empty);
    std::erase_if(deadline.backends, backend_empty);
  }
  forget_met_deadlines();
}

void Fences::forget_met_deadlines() {
  std::erase_if(deadlines_, [](const Deadline& deadline) {
    return deadline.refs.empty() && deadline.backends.empty();
  });
}

std::shared_ptr<const model::Snapshot> Fences::apply(
    std::shared_ptr<const model::Snapshot> snapshot) const {
  if (reset_before_.empty() && absent_backends_.empty()) return snapshot;
  auto fenced = std::make_shared<model::Snapshot>(*snapshot);
  for (const auto& [ref, revision] : reset_before_) {
    if (fenced->reset_before.size() <= ref) fenced->reset_before.resize(ref + 1u);
    fenced->reset_before[ref] = std::max(fenced->reset_before[ref], revision);
  }
  for (const uint16_t id : absent_backends_) {
    if (id < fenced->backends.size()) fenced->backends[id].present = false;
  }
  return fenced;
}

}  // namespace sluice::ctrl

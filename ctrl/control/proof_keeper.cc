#include "ctrl/control/proof_keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "ctrl/runtime/log.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t brisk_ns = 50'000'000;  // workers acknowledge within this, or not at all soon
constexpr std::chrono::nanoseconds brisk_interval = 1ms;
constexpr std::chrono::nanoseconds calm_interval = 20ms;

std::set<uint16_t> refs_of(const ProofPlan& plan) {
  std::set<uint16_t> refs;
  for (const ProofPool& pool : plan.pools) refs.insert(pool.ref);
  return refs;
}

std::set<uint16_t> backends_of(const ProofPlan& plan) {
  std::set<uint16_t> ids;
  for (const ProofBackend& backend : plan.backends) ids.insert(backend.id);
  return ids;
}

}  // namespace

ProofKeeper::ProofKeeper(EventLoop& loop, StateStore& store, EventHub& events,
                         const Sampler& sampler, NowNs now_ns)
    : loop_(loop), store_(store), events_(events), sampler_(sampler), now_ns_(std::move(now_ns)) {}

ProofKeeper::~ProofKeeper() { loop_.cancel(timer_); }

Sample ProofKeeper::sample(const ProofPlan& plan) const {
  return sampler_.sample(now_ns_(), refs_of(plan), backends_of(plan));
}

void ProofKeeper::open(ProofPlan plan, Sample at_publish, uint64_t wait_ms, ProofDone done) {
  Entry entry;
  entry.plan = std::move(plan);
  entry.evidence.at_publish = std::move(at_publish);
  entry.done = std::move(done);
  entry.deadline_ns = now_ns_() + wait_ms * 1'000'000;
  entry.keep = true;
  add(std::move(entry));
}

void ProofKeeper::ask(ProofPlan plan, Sample at_publish, uint64_t wait_ms, ProofDone done) {
  Entry entry;
  entry.plan = std::move(plan);
  entry.evidence.at_publish = std::move(at_publish);
  entry.done = std::move(done);
  entry.deadline_ns = now_ns_() + wait_ms * 1'000'000;
  add(std::move(entry));
}

void ProofKeeper::add(Entry entry) {
  entries_.push_back(std::move(entry));
  if (entries_.size() > proofs_open_max) {
    Entry& oldest = entries_.front();
    settle(oldest, evaluate(oldest.plan, oldest.evidence, sample(oldest.plan)));
    drop_finished();
  }
  loop_.cancel(timer_);
  arm();
}

void ProofKeeper::arm() {
  timer_ = 0;
  if (entries_.empty()) return;
  const uint64_t youngest_ns = entries_.back().plan.published_ns;
  const bool brisk = now_ns_() < youngest_ns + brisk_ns || entries_.back().acknowledged_ns == 0;
  const bool fresh = now_ns_() < youngest_ns + 20 * brisk_ns;
  timer_ = loop_.after(brisk && fresh ? brisk_interval : calm_interval, [this](int) {
    poll();
    arm();
  });
}

void ProofKeeper::poll() {
  const uint64_t now_ns = now_ns_();
  // An answer may open another proof: the list grows at its end while we walk.
  for (Entry& entry : entries_) {
    if (!entry.finished) look_at(entry, now_ns);
  }
  drop_finished();
}

void ProofKeeper::look_at(Entry& entry, uint64_t now_ns) {
  const Sample now = sample(entry.plan);
  observe(entry.plan, entry.evidence, now, wall_time_now());
  Proof proof = evaluate(entry.plan, entry.evidence, now);
  const bool acknowledged = entry.evidence.at_acknowledge.has_value();
  if (acknowledged && entry.acknowledged_ns == 0) {
    entry.acknowledged_ns = now_ns;
    if (entry.keep) {
      events_.emit("acknowledged", {{"generation", entry.plan.generation},
                                    {"revision", entry.plan.revision},
                                    {"acknowledged_us", proof.json["acknowledged_us"]}});
    }
  }
  // Once every worker has acknowledged, nothing can mend a not-proved.
  const bool refuted = acknowledged && proof.verdict == ProofVerdict::not_proved;
  const bool observed = acknowledged && now_ns >= entry.acknowledged_ns + proof_observation_ns;
  if (refuted || (observed && proof.verdict == ProofVerdict::proved)) {
    settle(entry, std::move(proof));
  } else if (now_ns >= entry.deadline_ns) {
    if (!entry.keep) return settle(entry, std::move(proof));
    save(entry, proof);
    answer(entry, proof);
  }
}

void ProofKeeper::settle(Entry& entry, Proof proof) {
  entry.finished = true;
  if (entry.keep) {
    save(entry, proof);
    verdicts_[static_cast<size_t>(proof.verdict)]++;
  }
  answer(entry, proof);
}

void ProofKeeper::save(Entry& entry, const Proof& proof) {
  if (entry.saved == proof.verdict && !entry.finished) return;
  const bool news = entry.saved != proof.verdict;
  entry.saved = proof.verdict;
  if (auto saved = store_.save_proof(entry.plan.generation, proof.json); !saved) {
    log_warn("control", "a proof could not be kept",
             {{"generation", entry.plan.generation}, {"error", saved.error().message}});
  }
  if (!news) return;
  if (saved_) saved_(proof.json);
  events_.emit("proof", {{"generation", entry.plan.generation},
                         {"verb", entry.plan.verb},
                         {"route", proof.json["route"]},
                         {"verdict", to_string(proof.verdict)},
                         {"reason", proof.reason}});
  log(proof.verdict == ProofVerdict::not_proved ? LogLevel::warn : LogLevel::info, "control",
      "proof",
      {{"generation", entry.plan.generation},
       {"verdict", to_string(proof.verdict)},
       {"reason", proof.reason}});
}

void ProofKeeper::answer(Entry& entry, const Proof& proof) {
  if (!entry.done) return;
  // In its own turn: the one who waits may ask for the next change at once.
  loop_.post([done = std::exchange(entry.done, nullptr), proof] { done(proof); });
}

void ProofKeeper::before_publish(uint64_t generation,
                                 const std::function<bool(uint16_t ref)>& reopens) {
  for (Entry& entry : entries_) {
    const Sample now = sample(entry.plan);
    observe(entry.plan, entry.evidence, now, wall_time_now());
    const bool ground_lost = std::ranges::any_of(entry.plan.pools, [&](const ProofPool& pool) {
      return pool.closed_since != 0 && reopens(pool.ref);
    });
    if (entry.evidence.at_acknowledge && !ground_lost && entry.keep) continue;
    entry.evidence.superseded_by = generation;
    settle(entry, evaluate(entry.plan, entry.evidence, now));
  }
  drop_finished();
}

std::optional<Proof> ProofKeeper::current(uint64_t generation) const {
  for (const Entry& entry : entries_) {
    if (!entry.keep || entry.plan.generation != generation) continue;
    return evaluate(entry.plan, entry.evidence, sample(entry.plan));
  }
  return std::nullopt;
}

bool ProofKeeper::watches_ref(uint16_t ref) const {
  return std::ranges::any_of(entries_, [&](const Entry& entry) {
    return std::ranges::any_of(entry.plan.pools,
                               [&](const ProofPool& pool) { return pool.ref == ref; });
  });
}

bool ProofKeeper::watches_backend(uint16_t id) const {
  return std::ranges::any_of(entries_, [&](const Entry& entry) {
    return std::ranges::any_of(entry.plan.backends,
                               [&](const ProofBackend& backend) { return backend.id == id; });
  });
}

void ProofKeeper::drop_finished() {
  std::erase_if(entries_, [](const Entry& entry) { return entry.finished; });
}

}  // namespace sluice::ctrl

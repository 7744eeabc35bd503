// What keeps the served snapshot true between changes: health and next hops, drain deadlines, and
// identities whose last connection has ended.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "ctrl/control/controller.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::nanoseconds republish_delay = 2ms;   // takes a burst of events as one
constexpr std::chrono::nanoseconds republish_pause = 20ms;  // between two, so that a storm is cheap
constexpr auto tick_interval = 1s;

}  // namespace

uint64_t Controller::slowest_revision() const {
  uint64_t slowest = ~0ull;
  for (unsigned worker = 0; worker < around_.engine.worker_count(); worker++) {
    slowest = std::min(slowest, around_.engine.acknowledgement(worker).revision);
  }
  return slowest;
}

bool Controller::all_acknowledged() const { return slowest_revision() >= revision(); }

void Controller::publish(std::shared_ptr<const model::Snapshot> snapshot) {
  snapshot_ = std::move(snapshot);
  observed_.revision = snapshot_->revision;
  published_ns_ = now_ns();
  around_.engine.publish(snapshot_);
  note_lingering();
  tell_panic();
  conditions_->published();
}

void Controller::tell_panic() {
  for (const PanicChange& change : panic_.update(config_, observed_)) {
    const std::string_view family = change.family == Family::v4 ? "ipv4" : "ipv6";
    around_.events.emit("panic", {{"pool", change.pool},
                                  {"family", family},
                                  {"policy", to_string(change.policy)},
                                  {"active", change.active},
                                  {"usable", change.usable},
                                  {"candidates", change.candidates}});
    log(change.active ? LogLevel::warn : LogLevel::info, "control",
        change.active ? "pool in panic" : "pool no longer in panic",
        {{"pool", change.pool},
         {"family", family},
         {"policy", to_string(change.policy)},
         {"usable", change.usable},
         {"candidates", change.candidates}});
  }
}

void Controller::serve_node() {
  std::set<IpAddress> lingering;
  for (const BackendIdentity& backend : registry_.lingering()) {
    lingering.insert(backend.key.endpoint.address);
  }
  around_.node.serve(config_, lingering);
}

void Controller::refresh_observed() {
  const std::set<BackendKey> was_down = std::exchange(observed_.down, around_.node.down());
  const auto tell_health = [&](const BackendKey& backend, std::string_view state) {
    const HealthState* health = around_.node.health(backend);
    const std::string reason = health == nullptr ? "" : health->reason;
    around_.events.emit("health", {{"pool", backend.pool},
                                   {"backend", to_string(backend.endpoint)},
                                   {"state", state},
                                   {"reason", reason},
                                   {"hold_ms", health == nullptr ? 0 : health->hold_ms(now_ns())}});
    log(state == "up" ? LogLevel::info : LogLevel::warn, "control", "backend health",
        {{"pool", backend.pool},
         {"backend", to_string(backend.endpoint)},
         {"state", state},
         {"reason", reason}});
  };
  observed_.slow_starts = around_.node.slow_starts();
  for (const BackendKey& backend : observed_.down) {
    if (!was_down.contains(backend)) tell_health(backend, "down");
  }
  for (const BackendKey& backend : was_down) {
    // One that is no longer probed has not come up.
    if (observed_.down.contains(backend) || around_.node.health(backend) == nullptr) continue;
    tell_health(backend, "up");
  }
  const auto were = std::exchange(observed_.next_hops, around_.node.next_hops());
  for (const auto& [address, next_hop] : observed_.next_hops) {
    const auto was = were.find(address);
    if (was != were.end() && was->second == next_hop) continue;
    around_.events.emit("neighbour", {{"address", to_string(address)},
                                      {"resolved", next_hop.resolved},
                                      {"mac", to_string(next_hop.destination)},
                                      {"detail", around_.node.describe_next_hop(address)}});
  }
}

void Controller::node_changed() {
  if (republish_ != 0) return;
  const std::chrono::nanoseconds quiet(now_ns() - published_ns_);
  const auto delay = std::max(republish_delay, republish_pause - quiet);
  republish_ = around_.loop.after(delay, [this](int) {
    republish_ = 0;
    refresh_observed();
    republish();
  });
}

void Controller::republish() {
  auto snapshot = compile_now(registry_, config_, generation());
  if (!snapshot) {
    // The same configuration compiled before; the tables in use stay.
    return log_error("control", "the tables could not be renewed",
                     {{"error", snapshot.error().message}});
  }
  publish(fences_.apply(std::move(*snapshot)));
}

void Controller::arm_deadline() {
  around_.loop.cancel(std::exchange(deadline_, 0));
  const auto next_ns = fences_.next_deadline_ns();
  if (!next_ns) return;
  const uint64_t now = now_ns();
  const std::chrono::nanoseconds delay(*next_ns > now ? *next_ns - now : 0);
  deadline_ = around_.loop.after(delay, [this](int) {
    deadline_ = 0;
    if (fences_.expire(now_ns(), revision() + 1)) republish();
    arm_deadline();
  });
}

void Controller::arm_tick() {
  tick_ = around_.loop.after(tick_interval, [this](int) {
    tick();
    arm_tick();
  });
}

void Controller::tick() {
  around_.engine.reclaim();
  around_.audit.tick(now_ns());
  governor_->tick(around_.unix_ms());
  busy_.tick(around_.engine);
  passive_.sample(config_, registry_, sampler_, around_.node, now_ns());
  if (release_lingering()) republish();
  conditions_->refresh();
  if (!all_acknowledged()) return;
  fences_.forget_empty(sampler_);
  window_.add(now_ns(), decisions_now());
}

ShareWindow::Decisions Controller::decisions_now() const {
  ShareWindow::Decisions decisions;
  for (const auto& [key, ref] : registry_.refs()) decisions[ref] = sampler_.ref(ref).decisions;
  return decisions;
}

uint64_t Controller::decisions_since_generation(uint16_t ref) const {
  const uint64_t total = sampler_.ref(ref).decisions;
  const auto base = generation_base_.find(ref);
  if (base == generation_base_.end() || base->second > total) return total;
  return total - base->second;
}

void Controller::note_lingering() {
  std::map<uint16_t, uint64_t> backends;
  for (const BackendIdentity& backend : registry_.lingering()) {
    const auto since = lingering_backends_.find(backend.id);
    backends[backend.id] = since == lingering_backends_.end() ? revision() : since->second;
  }
  lingering_backends_ = std::move(backends);
  std::map<uint16_t, uint64_t> refs;
  for (const uint16_t ref : registry_.lingering_refs()) {
    const auto since = lingering_refs_.find(ref);
    refs[ref] = since == lingering_refs_.end() ? revision() : since->second;
  }
  lingering_refs_ = std::move(refs);
}

bool Controller::release_lingering() {
  const uint64_t slowest = slowest_revision();
  bool released = false;
  for (const auto& [id, since] : lingering_backends_) {
    if (slowest < since || proofs_.watches_backend(id) || sampler_.backend(id).active() > 0) {
      continue;
    }
    registry_.release_backend(id);
    sampler_.backend_released(id);
    released = true;
  }
  for (const auto& [ref, since] : lingering_refs_) {
    if (slowest < since || proofs_.watches_ref(ref) || sampler_.ref(ref).active() > 0) continue;
    registry_.release_ref(ref);
    sampler_.ref_released(ref);
    closed_.forget(ref);
    released = true;
  }
  return released;
}

}  // namespace sluice::ctrl

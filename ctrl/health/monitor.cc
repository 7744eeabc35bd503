#include "ctrl/health/monitor.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <random>
#include <unordered_map>
#include <utility>

#include "ctrl/health/target.h"
#include "ctrl/runtime/log.h"

namespace sluice::ctrl {

namespace {

constexpr double interval_share_min = 0.95;            // deadlines vary below their interval only
constexpr uint64_t first_probes_apart_ns = 100'000;    // 10,000 a second
constexpr uint64_t slow_start_grid_ns = 250'000'000;   // weights change at most so often
constexpr uint64_t suspected_gap_ns_min = 50'000'000;  // or a tenth of the interval
constexpr size_t completions_per_turn = 1'024;         // that the loop takes
constexpr int64_t certificate_warning_s = 14 * 86'400;
constexpr double golden_ratio = 0.6180339887498949;  // its multiples are spread evenly

uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

uint64_t unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

size_t probes_possible() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 512;
  return std::clamp<size_t>(files.rlim_cur / 2, 64, health_probes_max);
}

using Entry = Target::Entry;

class Monitor final : public HealthMonitor, private TargetOwner {
 public:
  Monitor(EventLoop& loop, uint64_t seed, Changed changed)
      : loop_(loop),
        random_(seed),
        phase_(std::uniform_real_distribution<double>(0, 1)(random_)),
        changed_(std::move(changed)),
        wheel_(monotonic_ns()),
        probes_max_(probes_possible()) {}
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;
  ~Monitor() override {
    for (const OperationId timer : {wake_, turn_, overdue_turn_, step_}) loop_.cancel(timer);
  }

  void set_targets(const std::vector<PoolConfig>& pools) override;
  void suspect(const BackendKey& backend, const std::string& reason) override;
  const HealthState* find(const BackendKey& backend) const override {
    const auto found = subscribers_.find(backend);
    return found == subscribers_.end() ? nullptr : &found->second.state;
  }
  std::optional<HealthReport> report(const BackendKey& backend) const override;
  const std::set<BackendKey>& down() const override { return down_; }
  const std::map<BackendKey, uint8_t>& slow_starts() const override { return slow_starts_; }
  ProberStats stats() const override;

 private:
  using TargetKey = std::pair<Endpoint, const Check*>;
  using Transition = std::pair<BackendKey, HealthState>;

  void due(Target& target) override;
  std::shared_ptr<const Check> check_of(const HealthConfig& health);
  void drop_gone(const std::map<BackendKey, const HealthConfig*>& wanted);
  void subscribe(Entry& entry, const HealthConfig& config);
  void settle_targets();
  void set_first_deadlines(const std::vector<Target*>& fresh);
  void set_deadline(Target& target, uint64_t deadline_ns);
  void arm_wake();
  void note_overdue(Target& target);
  void wait_for_overdue();
  void judge_overdue();
  void start_waiting();
  void start_more();
  void start_probe(Target& target, uint64_t now_ns);
  void ended(Target& target, ProbeResult result);
  void set_next_deadline(Target& target, uint64_t now_ns);
  void settled(Entry& entry, uint64_t now_ns, std::vector<Transition>& transitions);
  void note_certificate(Target& target);
  void tell(const std::vector<Transition>& transitions);
  void arm_steps(uint64_t now_ns);
  void step_slow_starts();

  EventLoop& loop_;
  std::mt19937_64 random_;
  double phase_;
  Changed changed_;
  TimerWheel wheel_;
  std::map<HealthConfig, std::weak_ptr<const Check>> checks_;  // by wire_part()
  std::map<BackendKey, Subscriber> subscribers_;               // entries stay where they are
  std::map<TargetKey, Target> targets_;                        // likewise
  std::unordered_map<uint64_t, Target*> by_serial_;
  std::deque<uint64_t> line_;
  std::vector<std::pair<uint64_t, const Probe*>> overdue_, overdue_next_;
  size_t overdue_turns_ = 0;
  std::set<BackendKey> down_;
  std::map<BackendKey, uint8_t> slow_starts_;
  uint64_t last_serial_ = 0;
  size_t under_way_ = 0;
  size_t probes_max_;
  OperationId wake_ = 0, turn_ = 0, overdue_turn_ = 0, step_ = 0;
  uint64_t wake_ns_ = TimerWheel::never;
  ProberStats stats_;
};

void Monitor::set_targets(const std::vector<PoolConfig>& pools) {
  std::map<BackendKey, const HealthConfig*> wanted;
  for (const PoolConfig& pool : pools) {
    if (pool.health.type == HealthType::none) continue;
    for (const BackendConfig& backend : pool.backends) {
      wanted[{pool.name, {backend.address, backend.port}}] = &pool.health;
    }
  }
  drop_gone(wanted);
  for (auto& [key, target] : targets_) target.subscribers.clear();
  std::erase_if(checks_, [](const auto& check) { return check.second.expired(); });
  for (const auto& [key, config] : wanted) {
    const auto [entry, added] = subscribers_.try_emplace(key);
    if (added) entry->second.state.since_ms = unix_ms();
    subscribe(*entry, *config);
  }
  settle_targets();
  stats_.backends = subscribers_.size();
  arm_steps(monotonic_ns());
  start_waiting();  // places that removed probes have left
  arm_wake();
}

void Monitor::drop_gone(const std::map<BackendKey, const HealthConfig*>& wanted) {
  std::erase_if(subscribers_, [&](const Entry& entry) {
    if (wanted.contains(entry.first)) return false;
    down_.erase(entry.first);
    slow_starts_.erase(entry.first);
    return true;
  });
}

/// Equal checks are one object. Most pools of a configuration are checked in a handful of ways.
std::shared_ptr<const Check> Monitor::check_of(const HealthConfig& health) {
  std::weak_ptr<const Check>& known = checks_[wire_part(health)];
  auto check = known.lock();
  if (!check || !check->problem().empty()) {
    check = Check::make(health);
    known = check;
  }
  return check;
}

void Monitor::subscribe(Entry& entry, const HealthConfig& config) {
  Subscriber& subscriber = entry.second;
  // Looking a check up compares strings: not for each of 60,000 backends when nothing changed.
  const bool same = subscriber.target != nullptr && subscriber.config == config &&
                    subscriber.target->check->problem().empty();
  std::shared_ptr<const Check> check = same ? subscriber.target->check : check_of(config);
  const Check* const identity = check.get();
  subscriber.config = config;
  const auto [at, added] =
      targets_.try_emplace({entry.first.endpoint, identity}, static_cast<TargetOwner&>(*this),
                           entry.first.endpoint, std::move(check));
  subscriber.target = &at->second;
  at->second.subscribers.push_back(&entry);
}

/// Targets without subscribers go, the intervals follow, new ones get their first deadline.
void Monitor::settle_targets() {
  std::vector<Target*> fresh;
  for (auto at = targets_.begin(); at != targets_.end();) {
    Target& target = at->second;
    if (target.subscribers.empty()) {
      under_way_ -= target.probe != nullptr;
      by_serial_.erase(target.serial);
      at = targets_.erase(at);
      continue;
    }
    const auto interval_of = [](const Entry* entry) { return entry->second.config.interval_ms; };
    const uint32_t interval_ms =
        interval_of(*std::ranges::min_element(target.subscribers, {}, interval_of));
    const bool sooner = interval_ms < target.interval_ms;
    target.interval_ms = interval_ms;
    const bool idle = target.probe == nullptr && !target.waiting;
    if (target.serial == 0 || (sooner && idle)) fresh.push_back(&target);
    ++at;
  }
  set_first_deadlines(fresh);
}

/// A few are probed at once; many are spread evenly over their interval.
void Monitor::set_first_deadlines(const std::vector<Target*>& fresh) {
  const uint64_t now_ns = monotonic_ns();
  const uint64_t spread_ns = fresh.size() * first_probes_apart_ns;
  for (Target* target : fresh) {
    if (target->serial == 0) {
      target->serial = ++last_serial_;
      by_serial_[target->serial] = target;
    }
    const double place = std::fmod(phase_ + double(target->serial) * golden_ratio, 1.0);
    const uint64_t window_ns = std::min<uint64_t>(spread_ns, target->interval_ms * 1'000'000ull);
    set_deadline(*target, now_ns + static_cast<uint64_t>(double(window_ns) * place));
    target->first = true;
  }
}

void Monitor::set_deadline(Target& target, uint64_t deadline_ns) {
  target.deadline_ns = deadline_ns;
  wheel_.set(target, deadline_ns);
}

void Monitor::arm_wake() {
  const uint64_t next_ns = wheel_.next_ns();
  if (next_ns >= wake_ns_ && wake_ != 0) return;
  loop_.cancel(std::exchange(wake_, 0));
  wake_ns_ = next_ns;
  if (next_ns == TimerWheel::never) return;
  const uint64_t now_ns = monotonic_ns();
  const std::chrono::nanoseconds delay(next_ns > now_ns ? next_ns - now_ns : 0);
  wake_ = loop_.after(delay, [this](int) {
    wake_ = 0;
    wheel_.advance(monotonic_ns());
    start_waiting();
    arm_wake();
  });
}

void Monitor::due(Target& target) {
  if (target.probe) return note_overdue(target);
  target.waiting = true;
  line_.push_back(target.serial);
}

/// Its answer may be there already, and only this loop be late: what the kernel has got is looked
/// at before anybody is blamed.
void Monitor::note_overdue(Target& target) {
  overdue_next_.emplace_back(target.serial, target.probe.get());
  if (overdue_turn_ == 0) wait_for_overdue();
}

void Monitor::wait_for_overdue() {
  overdue_ = std::exchange(overdue_next_, {});
  overdue_turns_ = under_way_ / completions_per_turn + 1;
  overdue_turn_ = loop_.after(std::chrono::nanoseconds(0), [this](int) { judge_overdue(); });
}

void Monitor::judge_overdue() {
  overdue_turn_ = 0;
  if (--overdue_turns_ > 0) {
    overdue_turn_ = loop_.after(std::chrono::nanoseconds(0), [this](int) { judge_overdue(); });
    return;
  }
  for (const auto& [serial, overdue] : std::exchange(overdue_, {})) {
    const auto found = by_serial_.find(serial);
    if (found == by_serial_.end() || found->second->probe.get() != overdue) continue;
    const auto probe = found->second->probe;  // the target lets go of it
    probe->time_out();
  }
  if (!overdue_next_.empty() && overdue_turn_ == 0) wait_for_overdue();
}

void Monitor::start_waiting() {
  const uint64_t now_ns = monotonic_ns();
  size_t started = 0;
  while (!line_.empty() && under_way_ < probes_max_ && started < probes_per_turn_max) {
    const auto found = by_serial_.find(line_.front());
    line_.pop_front();
    if (found == by_serial_.end() || !found->second->waiting) continue;  // left meanwhile
    found->second->waiting = false;
    start_probe(*found->second, now_ns);
    ++started;
  }
  start_more();
}

/// In the next turn of the loop: what has ended comes before what begins.
void Monitor::start_more() {
  if (line_.empty() || under_way_ >= probes_max_ || turn_ != 0) return;
  turn_ = loop_.after(std::chrono::nanoseconds(0), [this](int) {
    turn_ = 0;
    start_waiting();
    arm_wake();
  });
}

void Monitor::start_probe(Target& target, uint64_t now_ns) {
  stats_.lateness.add(now_ns > target.deadline_ns ? now_ns - target.deadline_ns : 0, now_ns);
  target.probe =
      Probe::start(loop_, target.check, target.endpoint,
                   [this, &target](ProbeResult result) { ended(target, std::move(result)); });
  if (!target.probe) {
    // Our own shortage says nothing about the backend.
    ++stats_.no_socket;
    log_error("health", "cannot open a socket", {{"error", std::strerror(errno)}});
    return set_next_deadline(target, now_ns);
  }
  ++under_way_;
  wheel_.set(target, now_ns + target.check->config().timeout_ms * 1'000'000ull);
}

void Monitor::ended(Target& target, ProbeResult result) {
  const uint64_t now_ns = monotonic_ns();
  // The probe is still on the stack, held by whoever called.
  target.probe.reset();
  --under_way_;
  ++(result.ok ? stats_.succeeded : stats_.failed);
  std::vector<Transition> transitions;
  for (Entry* entry : target.subscribers) {
    Subscriber& subscriber = entry->second;
    const bool changed = judge(subscriber.state, subscriber.config, result, now_ns, unix_ms());
    if (changed) settled(*entry, now_ns, transitions);
  }
  target.last = std::move(result);
  target.last_ns = now_ns;
  note_certificate(target);
  set_next_deadline(target, now_ns);
  start_more();
  arm_wake();
  tell(transitions);  // last: it may drop this target
}

void Monitor::set_next_deadline(Target& target, uint64_t now_ns) {
  const uint64_t interval_ns = target.interval_ms * 1'000'000ull;
  // The second deadline gives a backend its own place within the interval, for good.
  std::uniform_real_distribution<double> share(
      std::exchange(target.first, false) ? 0.0 : interval_share_min, 1.0);
  uint64_t gap_ns = static_cast<uint64_t>(double(interval_ns) * share(random_));
  uint64_t from_ns = target.deadline_ns;
  const auto is_suspected = [](const Entry* entry) {
    return entry->second.state.suspected && entry->second.state.up;
  };
  if (std::ranges::any_of(target.subscribers, is_suspected)) {
    from_ns = now_ns;
    gap_ns = std::min(gap_ns, std::max(interval_ns / 10, suspected_gap_ns_min));
  }
  if (from_ns + gap_ns + interval_ns < now_ns) {
    ++stats_.skipped;
    from_ns = now_ns - gap_ns;
  }
  set_deadline(target, from_ns + gap_ns);
}

/// `up` of this backend changed.
void Monitor::settled(Entry& entry, uint64_t now_ns, std::vector<Transition>& transitions) {
  const auto& [key, subscriber] = entry;
  const HealthState& state = subscriber.state;
  if (state.up) {
    down_.erase(key);
    if (state.weight_percent < 100) slow_starts_[key] = state.weight_percent;
    log_info("health", "backend up", {{"pool", key.pool}, {"backend", to_string(key.endpoint)}});
    arm_steps(now_ns);
  } else {
    down_.insert(key);
    slow_starts_.erase(key);
    log_warn("health", "backend down",
             {{"pool", key.pool},
              {"backend", to_string(key.endpoint)},
              {"reason", state.reason},
              {"failures", state.failures},
              {"hold_ms", state.hold_ms(now_ns)}});
  }
  transitions.emplace_back(key, state);
}

void Monitor::tell(const std::vector<Transition>& transitions) {
  for (const auto& [key, state] : transitions) changed_(key, state);
}

void Monitor::note_certificate(Target& target) {
  const int64_t expires_s = target.last.certificate_expires_s;
  if (expires_s == 0) return;
  const int64_t left_s = expires_s - ::time(nullptr);
  const bool soon = left_s < certificate_warning_s;
  if (soon && !target.certificate_told) {
    log_warn("health", left_s < 0 ? "certificate has expired" : "certificate expires soon",
             {{"backend", to_string(target.endpoint)}, {"days", left_s / 86'400}});
  }
  target.certificate_told = soon;
}

void Monitor::suspect(const BackendKey& backend, const std::string& reason) {
  const auto found = subscribers_.find(backend);
  if (found == subscribers_.end() || !found->second.state.up) return;
  Subscriber& subscriber = found->second;
  Target& target = *subscriber.target;
  const uint64_t now_ns = monotonic_ns();
  std::vector<Transition> transitions;
  if (subscriber.config.passive.eject) {
    eject(subscriber.state, subscriber.config, reason, now_ns, unix_ms());
    settled(*found, now_ns, transitions);
  } else if (!subscriber.state.suspected) {
    subscriber.state.suspected = true;
    subscriber.state.reason = reason;
    log_warn(
        "health", "backend suspected",
        {{"pool", backend.pool}, {"backend", to_string(backend.endpoint)}, {"reason", reason}});
    transitions.emplace_back(found->first, subscriber.state);
  }
  if (!target.probe && !target.waiting) set_deadline(target, now_ns);
  arm_wake();
  tell(transitions);
}

/// One timer for all slow starts, on a grid: however many backends return, the weights are
/// published at most every slow_start_grid_ns.
void Monitor::arm_steps(uint64_t now_ns) {
  if (step_ != 0 || slow_starts_.empty()) return;
  uint64_t next_ns = TimerWheel::never;
  for (const auto& [key, percent] : slow_starts_) {
    const Subscriber& subscriber = subscribers_.at(key);
    const SlowStart at = slow_start(subscriber.state, subscriber.config, now_ns);
    next_ns = std::min(next_ns, at.next_ns == 0 ? now_ns : at.next_ns);
  }
  const uint64_t on_grid_ns = (next_ns / slow_start_grid_ns + 1) * slow_start_grid_ns;
  step_ = loop_.after(std::chrono::nanoseconds(on_grid_ns - now_ns), [this](int) {
    step_ = 0;
    step_slow_starts();
  });
}

void Monitor::step_slow_starts() {
  const uint64_t now_ns = monotonic_ns();
  std::vector<Transition> transitions;
  for (auto at = slow_starts_.begin(); at != slow_starts_.end();) {
    Subscriber& subscriber = subscribers_.at(at->first);
    const uint8_t percent = slow_start(subscriber.state, subscriber.config, now_ns).percent;
    if (percent != at->second) {
      subscriber.state.weight_percent = at->second = percent;
      transitions.emplace_back(at->first, subscriber.state);
    }
    at = percent == 100 ? slow_starts_.erase(at) : std::next(at);
  }
  arm_steps(now_ns);
  tell(transitions);
}

std::optional<HealthReport> Monitor::report(const BackendKey& backend) const {
  const auto found = subscribers_.find(backend);
  if (found == subscribers_.end()) return std::nullopt;
  const Target& target = *found->second.target;
  const bool idle = target.probe == nullptr && !target.waiting;
  return HealthReport{.state = found->second.state,
                      .last = target.last,
                      .last_ns = target.last_ns,
                      .next_ns = idle ? target.deadline_ns : 0,
                      .interval_ms = target.interval_ms,
                      .shared_by = target.subscribers.size()};
}

ProberStats Monitor::stats() const {
  ProberStats stats = stats_;
  stats.probed = targets_.size();
  stats.under_way = under_way_;
  stats.waiting = line_.size();
  return stats;
}

}  // namespace

std::unique_ptr<HealthMonitor> HealthMonitor::create(EventLoop& loop, uint64_t seed,
                                                     Changed changed) {
  return std::make_unique<Monitor>(loop, seed, std::move(changed));
}

}  // namespace sluice::ctrl

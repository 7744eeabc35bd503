#include "ctrl/control/status_source.h"

#include <algorithm>

#include "ctrl/control/rpc.h"

namespace sluice::ctrl {
namespace {

constexpr uint64_t cost_ns_min = 50'000;  // cheaper ones are always made anew
constexpr uint64_t uses_per_cost = 4;
constexpr uint64_t age_ns_max = 100'000'000;

}  // namespace

StatusSource::Moment StatusSource::moment_of(const Controller& controller) {
  Moment moment{.events = controller.events_told(), .revision = controller.revision()};
  const dataplane::Engine& engine = controller.engine();
  for (unsigned worker = 0; worker < engine.worker_count(); worker++) {
    moment.acknowledged += engine.acknowledgement(worker).revision;
  }
  return moment;
}

Json StatusSource::answer(const Controller& controller, const Identity& identity) {
  const uint64_t begin_ns = controller.now_ns();
  Moment now = moment_of(controller);
  if (!text_.empty() && begin_ns < use_until_ns_ && now == made_at_) return as_text(text_);
  text_.clear();
  Json fresh = status_view(controller, identity, slots_);
  slots_.prune();
  if (controller.now_ns() - begin_ns < cost_ns_min) return fresh;
  text_ = to_line(fresh);
  const uint64_t end_ns = controller.now_ns();
  now.events = controller.events_told();  // making it told watchers what it found: it is in it
  made_at_ = now;
  use_until_ns_ = end_ns + std::min(uses_per_cost * (end_ns - begin_ns), age_ns_max);
  return as_text(text_);
}

}  // namespace sluice::ctrl

#include "ctrl/control/status_source.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace sluice::ctrl {
namespace {

constexpr uint64_t cost_ns_min = 50'000;  // no rest after cheaper ones
constexpr uint64_t rests_per_cost = 4;
constexpr uint64_t rest_ns_max = 100'000'000;

}  // namespace

StatusSource::~StatusSource() {
  if (timer_ != 0) loop_.cancel(timer_);
}

void StatusSource::ask(Respond respond) {
  waiting_.push_back(std::move(respond));
  if (timer_ == 0 && !answering_) answer_after_rest();
}

void StatusSource::answer_after_rest() {
  const uint64_t now_ns = controller_.now_ns();
  if (now_ns >= rest_until_ns_) return answer_all();
  timer_ = loop_.after(std::chrono::nanoseconds(rest_until_ns_ - now_ns), [this](int) {
    timer_ = 0;
    answer_all();
  });
}

void StatusSource::answer_all() {
  const uint64_t begin_ns = controller_.now_ns();
  answering_ = true;  // who asks out of an answer waits for the next one
  const std::vector<Respond> waiting = std::exchange(waiting_, {});
  Json answer = status_view(controller_, identity_, slots_);
  slots_.prune();
  if (waiting.size() > 1) answer = as_text(to_line(answer));
  for (const Respond& respond : waiting) respond(answer);
  answering_ = false;
  const uint64_t end_ns = controller_.now_ns(), cost_ns = end_ns - begin_ns;
  rest_until_ns_ =
      cost_ns < cost_ns_min ? end_ns : end_ns + std::min(rests_per_cost * cost_ns, rest_ns_max);
  if (!waiting_.empty()) answer_after_rest();
}

}  // namespace sluice::ctrl

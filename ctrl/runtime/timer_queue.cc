#include "ctrl/runtime/timer_queue.h"

#include <algorithm>
#include <utility>

namespace sluice::ctrl {

namespace {
constexpr size_t sweep_entries_min = 64;
}

bool TimerQueue::Later::operator()(const Entry& a, const Entry& b) const {
  return a.deadline_ns != b.deadline_ns ? a.deadline_ns > b.deadline_ns : a.id > b.id;
}

uint64_t TimerQueue::add(uint64_t deadline_ns, Task task) {
  const uint64_t id = next_id_++;
  tasks_.emplace(id, std::move(task));
  heap_.push_back({deadline_ns, id});
  std::ranges::push_heap(heap_, Later{});
  return id;
}

void TimerQueue::cancel(uint64_t id) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) return;
  // Destroyed only after the queue is in order: what the task owns may cancel other timers.
  const Task dropped = std::move(found->second);
  tasks_.erase(found);
  if (heap_.size() >= sweep_entries_min && heap_.size() > 2 * tasks_.size()) sweep();
}

void TimerQueue::sweep() {
  std::erase_if(heap_, [this](const Entry& entry) { return !tasks_.contains(entry.id); });
  std::ranges::make_heap(heap_, Later{});
}

void TimerQueue::drop_dead_front() {
  while (!heap_.empty() && !tasks_.contains(heap_.front().id)) {
    std::ranges::pop_heap(heap_, Later{});
    heap_.pop_back();
  }
}

uint64_t TimerQueue::next_ns() {
  drop_dead_front();
  return heap_.empty() ? never : heap_.front().deadline_ns;
}

bool TimerQueue::pop_due(uint64_t now_ns, Task& task) {
  drop_dead_front();
  if (heap_.empty() || heap_.front().deadline_ns > now_ns) return false;
  const auto found = tasks_.find(heap_.front().id);
  task = std::move(found->second);
  tasks_.erase(found);
  std::ranges::pop_heap(heap_, Later{});
  heap_.pop_back();
  return true;
}

void TimerQueue::clear() {
  auto dropped = std::exchange(tasks_, {});
  heap_.clear();
}

}  // namespace sluice::ctrl

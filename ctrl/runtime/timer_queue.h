// TimerQueue: deadlines and what to do then, in a heap; tens of thousands are fine. Cancelling
// frees the completion at once and leaves a dead entry, swept when they are the majority.
// One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <unordered_map>
#include <vector>

namespace sluice::ctrl {

class TimerQueue {
 public:
  using Task = std::function<void(int result)>;
  static constexpr uint64_t never = std::numeric_limits<uint64_t>::max();

  /// Returns an id, never 0, never given twice.
  uint64_t add(uint64_t deadline_ns, Task task);
  /// Unknown ids are ignored.
  void cancel(uint64_t id);
  /// The earliest deadline, or `never`.
  uint64_t next_ns();
  /// Takes the earliest task whose deadline is at most `now_ns`; false when there is none.
  /// Equal deadlines come in the order of add().
  bool pop_due(uint64_t now_ns, Task& task);

  size_t size() const { return tasks_.size(); }
  void clear();

 private:
  struct Entry {
    uint64_t deadline_ns;
    uint64_t id;
  };
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const;
  };
  void drop_dead_front();
  void sweep();

  std::vector<Entry> heap_;
  std::unordered_map<uint64_t, Task> tasks_;
  uint64_t next_id_ = 1;
};

}  // namespace sluice::ctrl

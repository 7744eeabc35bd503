// RefusalLimiter: keeps somebody who is refused again and again from filling the disk with records
// of it: a burst, then a few a second for each user; the rest is counted. A value.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace sluice::ctrl {

class RefusalLimiter {
 public:
  static constexpr double burst = 50;
  static constexpr double per_second = 5;
  static constexpr size_t users_max = 1024;  // more share one allowance

  /// Whether a record may be written now; if not it is counted.
  bool admit(uint32_t uid, uint64_t now_ns) {
    User& user = of(uid, now_ns);
    if (user.tokens < 1) {
      user.suppressed++;
      return false;
    }
    user.tokens -= 1;
    return true;
  }

  /// How many refusals of a user were not written since the last call; 0 after it.
  uint64_t take_suppressed(uint32_t uid) {
    const auto at = users_.find(uid);
    return at == users_.end() ? 0 : std::exchange(at->second.suppressed, 0);
  }

  /// Users with refusals to be accounted for who may have a record again. Forgets idle ones.
  std::vector<uint32_t> due(uint64_t now_ns) {
    std::vector<uint32_t> due;
    for (auto at = users_.begin(); at != users_.end();) {
      refill(at->second, now_ns);
      if (at->second.suppressed > 0 && at->second.tokens >= burst / 2) due.push_back(at->first);
      const bool idle = at->second.suppressed == 0 && at->second.tokens >= burst;
      at = idle ? users_.erase(at) : std::next(at);
    }
    return due;
  }

 private:
  struct User {
    double tokens = burst;
    uint64_t at_ns = 0;
    uint64_t suppressed = 0;
  };

  User& of(uint32_t uid, uint64_t now_ns) {
    if (users_.size() >= users_max && !users_.contains(uid)) uid = ~0u;
    User& user = users_.try_emplace(uid, User{.tokens = burst, .at_ns = now_ns}).first->second;
    refill(user, now_ns);
    return user;
  }
  static void refill(User& user, uint64_t now_ns) {
    const double seconds = double(now_ns - user.at_ns) / 1e9;
    user.tokens = std::min(burst, user.tokens + seconds * per_second);
    user.at_ns = now_ns;
  }

  std::map<uint32_t, User> users_;
};

}  // namespace sluice::ctrl

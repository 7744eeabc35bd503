#include "ctrl/control/passive_watch.h"

#include <fmt/format.h>

#include "ctrl/config/duration.h"

namespace sluice::ctrl {

BackendTrouble PassiveWatch::add(Watched& watched, const BackendTrouble& now, uint64_t now_ns,
                                 uint64_t window_ns) {
  const BackendTrouble fresh{.unanswered = now.unanswered - watched.before.unanswered,
                             .refused = now.refused - watched.before.refused};
  watched.before = now;
  if (fresh.unanswered + fresh.refused > 0) watched.window.push_back({now_ns, fresh});
  while (!watched.window.empty() && now_ns - watched.window.front().at_ns > window_ns) {
    watched.window.pop_front();
  }
  BackendTrouble sum;
  for (const Happened& each : watched.window) {
    sum.unanswered += each.trouble.unanswered;
    sum.refused += each.trouble.refused;
  }
  return sum;
}

void PassiveWatch::sample(const Config& config, const Registry& registry, const Sampler& sampler,
                          Node& node, uint64_t now_ns) {
  std::vector<std::pair<BackendKey, std::string>> suspects;
  for (const PoolConfig& pool : config.pools) {
    const PassiveConfig& passive = pool.health.passive;
    if (passive.failures == 0) continue;
    for (const BackendConfig& backend : pool.backends) {
      const BackendKey key{pool.name, {backend.address, backend.port}};
      const auto identity = registry.find_backend(key);
      if (!identity) continue;
      Watched& watched = watched_[identity->id];
      const BackendTrouble now = sampler.trouble(identity->id);
      if (watched.incarnation != identity->incarnation) {
        watched = {.incarnation = identity->incarnation, .seen_ns = 0, .before = now, .window = {}};
      }
      watched.seen_ns = now_ns;
      const BackendTrouble sum = add(watched, now, now_ns, passive.window_ms * 1'000'000ull);
      if (sum.unanswered + sum.refused < passive.failures) continue;
      watched.window.clear();  // counts anew
      suspects.emplace_back(
          key, fmt::format("data plane: {} handshakes refused, {} unanswered within {}",
                           sum.refused, sum.unanswered, format_duration_ms(passive.window_ms)));
    }
  }
  std::erase_if(watched_, [&](const auto& each) { return each.second.seen_ns != now_ns; });
  for (const auto& [key, reason] : suspects) node.suspect(key, reason);
}

}  // namespace sluice::ctrl

// Roles, freezes and policies: names used once, and whether the file keeps its own policies.
#include <fmt/format.h>

#include <algorithm>

#include "ctrl/config/draft.h"
#include "ctrl/config/duration.h"
#include "ctrl/config/first_use.h"
#include "ctrl/config/text.h"

namespace sluice::ctrl {
namespace {

constexpr uint64_t tick_ms = 100;

template <typename Items>
void check_names(const Items& items, const std::vector<GovernPlaces::Named>& places) {
  FirstUse<std::string> names;
  for (size_t i = 0; i < items.size(); i++) {
    if (places[i].name) names.note(items[i].name, *places[i].name, in_quotes(items[i].name));
  }
}

uint32_t* timeout_of(model::Timeouts& timeouts, std::string_view key) {
  if (key == "tcp_syn") return &timeouts.tcp_syn;
  if (key == "tcp_established") return &timeouts.tcp_established;
  if (key == "tcp_closing") return &timeouts.tcp_closing;
  if (key == "tcp_closed") return &timeouts.tcp_closed;
  if (key == "udp_new") return &timeouts.udp_new;
  return &timeouts.udp_established;
}

/// What the file says itself for a timeout, with its place.
MaybeValue written_timeout(const Draft& draft, const std::string& key) {
  if (!draft.govern.timeouts) return std::nullopt;
  for (const Entry& entry : draft.govern.timeouts->node().entries) {
    if (entry.key == key) {
      return Value(entry.value, "timeouts." + key, draft.govern.timeouts->mistakes());
    }
  }
  return std::nullopt;
}

void check_timeouts(const PolicyConfig& policy, Draft& draft) {
  for (const auto& [key, rule] : policy.timeouts) {
    uint32_t& ticks = *timeout_of(draft.config.timeouts, key);
    const MaybeValue written = written_timeout(draft, key);
    if (!written) {
      if (rule.default_ms) ticks = uint32_t((*rule.default_ms + tick_ms - 1) / tick_ms);
      if (rule.max_ms) ticks = std::min(ticks, uint32_t(*rule.max_ms / tick_ms));
    } else if (rule.max_ms && ticks * tick_ms > *rule.max_ms) {
      written->reject(fmt::format("policy {} allows at most {}, got {}", in_quotes(policy.name),
                                  format_duration_ms(*rule.max_ms),
                                  format_duration_ms(ticks * tick_ms)));
    }
  }
}

class PolicyCheck {
 public:
  PolicyCheck(const PolicyConfig& policy, const Draft& draft) : policy_(policy), draft_(draft) {}

  void check_labels() const {
    for (size_t i = 0; i < draft_.config.routes.size(); i++) {
      const RouteConfig& route = draft_.config.routes[i];
      if (!fits_any(route.name, policy_.routes)) continue;
      for (const std::string& label : policy_.required_labels) {
        if (route.labels.contains(label)) continue;
        draft_.routes[i].self.reject(fmt::format("policy {} requires the label {} on route {}",
                                                 in_quotes(policy_.name), in_quotes(label),
                                                 in_quotes(route.name)));
      }
    }
  }

  void check_addresses() const {
    if (!policy_.public_addresses) return;
    for (size_t i = 0; i < draft_.config.listeners.size(); i++) {
      const ListenerConfig& listener = draft_.config.listeners[i];
      const MaybeValue& place = draft_.listeners[i].address;
      if (!place || !is_public(listener.address) || !concerns(listener)) continue;
      const bool approved = std::ranges::any_of(
          *policy_.public_addresses,
          [&](const Prefix& network) { return network.contains(listener.address); });
      if (approved) continue;
      place->reject(fmt::format("policy {} does not allow a public listener at {}",
                                in_quotes(policy_.name), to_string(listener.address)));
    }
  }

 private:
  /// A listener is its routes' business; one that has none must keep every policy.
  bool concerns(const ListenerConfig& listener) const {
    bool used = false;
    for (const RouteConfig& route : draft_.config.routes) {
      if (std::ranges::find(route.listeners, listener.name) == route.listeners.end()) continue;
      used = true;
      if (fits_any(route.name, policy_.routes)) return true;
    }
    return !used;
  }

  const PolicyConfig& policy_;
  const Draft& draft_;
};

}  // namespace

void check_govern(Draft& draft) {
  const GovernConfig& govern = draft.config.govern;
  check_names(govern.roles, draft.govern.roles);
  check_names(govern.freezes, draft.govern.freezes);
  check_names(govern.policies, draft.govern.policies);
  for (const PolicyConfig& policy : govern.policies) {
    check_timeouts(policy, draft);
    const PolicyCheck check(policy, draft);
    check.check_labels();
    check.check_addresses();
  }
}

}  // namespace sluice::ctrl

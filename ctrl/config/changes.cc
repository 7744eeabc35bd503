#include "ctrl/config/changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "ctrl/config/duration.h"
#include "ctrl/config/govern_changes.h"

namespace sluice::ctrl {
namespace {

std::string shown(const std::string& text) { return text.empty() ? "\"\"" : text; }
std::string shown(unsigned number) { return std::to_string(number); }
std::string shown(const IpAddress& address) { return to_string(address); }
std::string shown(const Prefix& prefix) { return to_string(prefix); }
std::string shown(IdleMode idle) { return idle == IdleMode::busy ? "busy" : "adaptive"; }
std::string shown(model::OnEmpty policy) {
  return policy == model::OnEmpty::reject ? "reject" : "drop";
}
std::string shown(const std::optional<Endpoint>& endpoint) {
  return endpoint ? to_string(*endpoint) : "none";
}
std::string shown(const HealthConfig& health) { return describe(health); }
std::string shown(PanicPolicy policy) { return std::string(to_string(policy)); }

std::string shown(const LabelMap& labels) { return labels_text(labels); }

template <typename Item>
std::string shown(const std::vector<Item>& items) {
  std::string text;
  for (const Item& item : items) text += (text.empty() ? "" : ", ") + shown(item);
  return "[" + text + "]";
}

Endpoint endpoint_of(const BackendConfig& backend) { return {backend.address, backend.port}; }

std::string entrance(const ListenerConfig& listener) {
  std::string ports = to_string(Endpoint{listener.address, listener.port_first});
  if (listener.port_last != listener.port_first) ports += fmt::format("-{}", listener.port_last);
  return fmt::format("{} {}", listener.protocol == protocol_udp ? "udp" : "tcp", ports);
}

class Changes {
 public:
  explicit Changes(std::vector<std::string>& lines) : lines_(lines) {}

  void line(std::string text) { lines_.push_back(std::move(text)); }

  template <typename T>
  void field(const std::string& subject, std::string_view name, const T& before, const T& after) {
    if (before != after) {
      line(fmt::format("{} {} {} -> {}", subject, name, shown(before), shown(after)));
    }
  }

  /// Lines for items that only one side has, by key, in the order of their side; then
  /// `change(before, after)` for those that both have.
  template <typename Items, typename KeyOf, typename Only, typename Both>
  void match(const Items& before, const Items& after, KeyOf key_of, Only only, Both both) {
    using Key = std::decay_t<decltype(key_of(before[0]))>;
    std::map<Key, const typename Items::value_type*> old_items, new_items;
    for (const auto& item : before) old_items.try_emplace(key_of(item), &item);
    for (const auto& item : after) new_items.try_emplace(key_of(item), &item);
    std::vector<Key> kept_before, kept_after;
    for (const auto& item : before) {
      if (new_items.contains(key_of(item))) {
        kept_before.push_back(key_of(item));
      } else {
        only(item, "removed");
      }
    }
    for (const auto& item : after) {
      const auto old_item = old_items.find(key_of(item));
      if (old_item == old_items.end()) {
        only(item, "added");
      } else {
        kept_after.push_back(key_of(item));
        both(*old_item->second, item);
      }
    }
    reordered_ = kept_before != kept_after;
  }

  /// Whether the items that the last match() found on both sides changed their order.
  bool reordered() const { return reordered_; }

 private:
  std::vector<std::string>& lines_;
  bool reordered_ = false;
};

void node_changes(const NodeConfig& before, const NodeConfig& after, Changes& changes) {
  changes.field("node:", "name", before.name, after.name);
  changes.field("node:", "main_core", before.main_core, after.main_core);
  changes.field("node:", "worker_cores", before.worker_cores, after.worker_cores);
  changes.field("node:", "idle", before.idle, after.idle);
  changes.field("node:", "memory_mb", before.memory_mb, after.memory_mb);
  changes.field("node:", "max_flows", before.max_flows, after.max_flows);
  if (before.hash_key != after.hash_key) changes.line("node: hash_key changed");  // a secret
}

void port_changes(const Config& before, const Config& after, Changes& changes) {
  const auto only = [&](const PortConfig& port, std::string_view what) {
    changes.line(fmt::format("port {} {} ({})", port.name, what, port.device));
  };
  const auto both = [&](const PortConfig& old_port, const PortConfig& port) {
    const std::string subject = fmt::format("port {}:", port.name);
    changes.field(subject, "device", old_port.device, port.device);
    changes.field(subject, "queues", old_port.queues, port.queues);
    changes.field(subject, "addresses", old_port.addresses, port.addresses);
    changes.field(subject, "snat_addresses", old_port.snat_addresses, port.snat_addresses);
    changes.field(subject, "tap", old_port.tap, port.tap);
  };
  changes.match(before.ports, after.ports, [](const PortConfig& p) { return p.name; }, only, both);
  if (changes.reordered()) changes.line("ports are in another order");
}

void timeout_changes(const model::Timeouts& before, const model::Timeouts& after,
                     Changes& changes) {
  const auto field = [&](std::string_view name, uint32_t old_ticks, uint32_t ticks) {
    changes.field("timeouts:", name, format_duration_ms(uint64_t(old_ticks) * 100),
                  format_duration_ms(uint64_t(ticks) * 100));
  };
  field("tcp_syn", before.tcp_syn, after.tcp_syn);
  field("tcp_established", before.tcp_established, after.tcp_established);
  field("tcp_closing", before.tcp_closing, after.tcp_closing);
  field("tcp_closed", before.tcp_closed, after.tcp_closed);
  field("udp_new", before.udp_new, after.udp_new);
  field("udp_established", before.udp_established, after.udp_established);
}

// True when every backend of the pool changed to `drained`, so that one line says it all.
bool drained_as_a_whole(const PoolConfig& before, const PoolConfig& after, bool drained) {
  const auto all = [](const PoolConfig& pool, bool state) {
    return std::ranges::all_of(pool.backends,
                               [&](const BackendConfig& each) { return each.drained == state; });
  };
  return !after.backends.empty() && all(before, !drained) && all(after, drained);
}

void backend_changes(const PoolConfig& before, const PoolConfig& after, Changes& changes) {
  const bool all_drained = drained_as_a_whole(before, after, true);
  const bool all_undrained = drained_as_a_whole(before, after, false);
  if (all_drained) changes.line(fmt::format("pool {} drained", after.name));
  if (all_undrained) changes.line(fmt::format("pool {} no longer drained", after.name));
  const auto only = [&](const BackendConfig& backend, std::string_view what) {
    changes.line(
        fmt::format("pool {}: backend {} {}", after.name, to_string(endpoint_of(backend)), what));
  };
  const auto both = [&](const BackendConfig& old_backend, const BackendConfig& backend) {
    const std::string subject =
        fmt::format("pool {}: backend {}", after.name, to_string(endpoint_of(backend)));
    changes.field(subject, "weight", old_backend.weight, backend.weight);
    changes.field(subject, "tier", old_backend.tier, backend.tier);
    changes.field(subject, "zone", old_backend.zone, backend.zone);
    if (old_backend.drained == backend.drained || all_drained || all_undrained) return;
    changes.line(subject + (backend.drained ? " drained" : " no longer drained"));
  };
  changes.match(before.backends, after.backends, endpoint_of, only, both);
}

void pool_changes(const Config& before, const Config& after, Changes& changes) {
  const auto only = [&](const PoolConfig& pool, std::string_view what) {
    changes.line(fmt::format("pool {} {} ({} backend{})", pool.name, what, pool.backends.size(),
                             pool.backends.size() == 1 ? "" : "s"));
  };
  const auto both = [&](const PoolConfig& old_pool, const PoolConfig& pool) {
    const std::string subject = fmt::format("pool {}:", pool.name);
    changes.field(subject, "service", old_pool.service, pool.service);
    changes.field(subject, "version", old_pool.version, pool.version);
    if (shown(old_pool.health) != shown(pool.health)) {
      changes.field(subject, "health", old_pool.health, pool.health);
    } else if (old_pool.health != pool.health) {
      changes.line(subject + " health changed");  // headers and the like
    }
    changes.field(subject, "on_empty", old_pool.on_empty, pool.on_empty);
    changes.field(subject, "panic", old_pool.panic, pool.panic);
    changes.field(subject, "panic_below_percent", unsigned{old_pool.panic_below_percent},
                  unsigned{pool.panic_below_percent});
    changes.field(subject, "labels", old_pool.labels, pool.labels);
    backend_changes(old_pool, pool, changes);
  };
  changes.match(before.pools, after.pools, [](const PoolConfig& p) { return p.name; }, only, both);
}

void listener_changes(const Config& before, const Config& after, Changes& changes) {
  const auto only = [&](const ListenerConfig& listener, std::string_view what) {
    changes.line(fmt::format("listener {} {} ({})", listener.name, what, entrance(listener)));
  };
  const auto both = [&](const ListenerConfig& old_listener, const ListenerConfig& listener) {
    if (old_listener == listener) return;
    changes.line(fmt::format("listener {}: {} -> {}", listener.name, entrance(old_listener),
                             entrance(listener)));
  };
  changes.match(
      before.listeners, after.listeners, [](const ListenerConfig& l) { return l.name; }, only,
      both);
}

void rule_changes(const std::string& subject, const RuleConfig& before, const RuleConfig& after,
                  Changes& changes) {
  changes.field(subject + ":", "sources", before.sources, after.sources);
  const auto only = [&](const PoolRefConfig& ref, std::string_view what) {
    changes.line(fmt::format("{}: pool {} {} (weight {})", subject, ref.pool, what, ref.weight));
  };
  const auto both = [&](const PoolRefConfig& old_ref, const PoolRefConfig& ref) {
    changes.field(fmt::format("{}: pool {}", subject, ref.pool), "weight", old_ref.weight,
                  ref.weight);
  };
  changes.match(
      before.backends, after.backends, [](const PoolRefConfig& ref) { return ref.pool; }, only,
      both);
  if (changes.reordered()) changes.line(subject + ": pools are in another order");
}

void route_changes(const RouteConfig& before, const RouteConfig& after, Changes& changes) {
  const std::string subject = fmt::format("route {}", after.name);
  const auto only = [&](const std::string& listener, std::string_view what) {
    changes.line(fmt::format("{}: listener {} {}", subject, listener, what));
  };
  changes.match(
      before.listeners, after.listeners, [](const std::string& name) { return name; }, only,
      [](const std::string&, const std::string&) {});
  if (before.approval != after.approval) {
    changes.line(fmt::format("{}: approval {}", subject,
                             after.approval ? "none -> required" : "required -> none"));
  }
  changes.field(subject + ":", "labels", before.labels, after.labels);
  const size_t common = std::min(before.rules.size(), after.rules.size());
  for (size_t i = 0; i < common; ++i) {
    rule_changes(fmt::format("{} rule {}", subject, i), before.rules[i], after.rules[i], changes);
  }
  for (size_t i = common; i < before.rules.size(); ++i) {
    changes.line(fmt::format("{}: rule {} removed", subject, i));
  }
  for (size_t i = common; i < after.rules.size(); ++i) {
    changes.line(fmt::format("{}: rule {} added", subject, i));
  }
}

}  // namespace

std::vector<std::string> describe_changes(const Config& before, const Config& after) {
  std::vector<std::string> lines;
  Changes changes(lines);
  node_changes(before.node, after.node, changes);
  port_changes(before, after, changes);
  changes.field("control:", "socket", before.control.socket, after.control.socket);
  changes.field("control:", "state_dir", before.control.state_dir, after.control.state_dir);
  changes.field("admin:", "listen", before.admin.listen, after.admin.listen);
  timeout_changes(before.timeouts, after.timeouts, changes);
  pool_changes(before, after, changes);
  listener_changes(before, after, changes);
  const auto only = [&](const RouteConfig& route, std::string_view what) {
    changes.line(fmt::format("route {} {}", route.name, what));
  };
  const auto both = [&](const RouteConfig& old_route, const RouteConfig& route) {
    route_changes(old_route, route, changes);
  };
  changes.match(
      before.routes, after.routes, [](const RouteConfig& r) { return r.name; }, only, both);
  if (changes.reordered()) changes.line("routes are in another order");
  describe_govern_changes(before.govern, after.govern, lines);
  return lines;
}

std::vector<std::string> restart_required(const Config& before, const Config& after) {
  std::vector<std::string> sections;
  if (before.node != after.node) sections.push_back("node");
  if (before.ports != after.ports) sections.push_back("port");
  if (before.control != after.control) sections.push_back("control");
  if (before.admin != after.admin) sections.push_back("admin");
  return sections;
}

}  // namespace sluice::ctrl

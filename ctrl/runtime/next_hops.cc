#include "ctrl/runtime/next_hops.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "ctrl/runtime/log.h"
#include "ctrl/runtime/neighbour_table.h"
#include "ctrl/runtime/netlink.h"
#include "ctrl/runtime/route_lookup.h"

namespace sluice::ctrl {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto coalesce_delay = milliseconds(2);
constexpr int look_up_share = 10;  // looking routes up takes at most a tenth of the time
constexpr unsigned logs_per_refresh_max = 8;
constexpr auto tick_interval = milliseconds(200);
constexpr unsigned asks_per_tick_max = 1024;
constexpr auto keep_alive_interval = milliseconds(5'000);
constexpr auto ask_backoff_min = milliseconds(1'000);
constexpr auto ask_backoff_max = milliseconds(8'000);
// Redirects and path exceptions change routes without a message.
constexpr auto full_check_interval = milliseconds(60'000);

constexpr std::array<unsigned, 9> groups = {
    RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
    RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,  RTNLGRP_NEXTHOP};

std::set<int> interfaces_of(const std::map<int, uint8_t>& ports) {
  std::set<int> interfaces;
  for (const auto& [ifindex, port] : ports) interfaces.insert(ifindex);
  return interfaces;
}

std::string interface_name(int ifindex) {
  std::array<char, IF_NAMESIZE> name{};
  if (::if_indextoname(static_cast<unsigned>(ifindex), name.data()) != nullptr) return name.data();
  return fmt::format("interface {}", ifindex);
}

class KernelNextHops final : public NextHopTracker {
 public:
  KernelNextHops(EventLoop& loop, std::unique_ptr<NetlinkSocket> netlink,
                 std::map<int, uint8_t> ports, std::function<void()> changed)
      : loop_(loop),
        netlink_(std::move(netlink)),
        ports_(std::move(ports)),
        changed_(std::move(changed)),
        neighbours_(*netlink_, interfaces_of(ports_)) {}
  KernelNextHops(const KernelNextHops&) = delete;
  KernelNextHops& operator=(const KernelNextHops&) = delete;
  ~KernelNextHops() override {
    for (const OperationId timer : {tick_, look_up_, refresh_}) loop_.cancel(timer);
  }

  Status start();
  void set_addresses(const std::set<IpAddress>& addresses) override;
  const std::map<IpAddress, model::NextHop>& next_hops() const override { return next_hops_; }
  std::string describe(const IpAddress& address) const override;

 private:
  /// When a neighbour that some address needs is to be asked for again.
  struct Ask {
    Clock::time_point next;
    milliseconds backoff = ask_backoff_min;
  };

  void heard(const nlmsghdr& message);
  void heard_neighbour(const nlmsghdr& message);
  void resync();
  void look_up_again(const Prefix& destination);
  void look_up_all_again();
  void look_up_soon();
  void look_up_dirty();
  void look_up(const IpAddress& address);
  void refresh_soon();
  void refresh_all();
  bool refresh(const IpAddress& address);
  void log_change(const IpAddress& address, bool was_resolved) const;
  void collect_needed();
  void ask_due();
  void tick();

  EventLoop& loop_;
  std::unique_ptr<NetlinkSocket> netlink_;
  std::map<int, uint8_t> ports_;
  std::function<void()> changed_;
  NeighbourTable neighbours_;
  std::unique_ptr<NetlinkMonitor> monitor_;

  std::map<IpAddress, RouteAnswer> routes_;
  std::map<IpAddress, model::NextHop> next_hops_;
  std::map<NeighbourKey, Ask> needed_;

  std::set<IpAddress> dirty_;  // their routes are to be looked up again
  OperationId look_up_ = 0;
  OperationId refresh_ = 0;
  OperationId tick_ = 0;
  Clock::duration look_up_cost_{};
  Clock::time_point full_check_at_;
};

Status KernelNextHops::start() {
  auto monitor = NetlinkMonitor::open(
      loop_, groups, [this](const nlmsghdr& message) { heard(message); }, [this] { resync(); });
  if (!monitor) return std::unexpected(monitor.error());
  monitor_ = std::move(*monitor);
  if (const int result = neighbours_.load(); result != 0) {
    return fail(fmt::format("cannot read the kernel's neighbours: {}", std::strerror(-result)));
  }
  full_check_at_ = Clock::now() + full_check_interval;
  tick();
  return {};
}

void KernelNextHops::set_addresses(const std::set<IpAddress>& addresses) {
  const auto gone = [&](const auto& entry) { return !addresses.contains(entry.first); };
  std::erase_if(routes_, gone);
  std::erase_if(next_hops_, gone);
  std::erase_if(dirty_, [&](const IpAddress& address) { return !addresses.contains(address); });
  for (const IpAddress& address : addresses) {
    if (routes_.contains(address)) continue;
    look_up(address);
    refresh(address);
  }
  collect_needed();
  ask_due();
}

void KernelNextHops::heard(const nlmsghdr& message) {
  switch (message.nlmsg_type) {
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      return heard_neighbour(message);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return look_up_again(route_destination(message));
    default:
      // Links, addresses, rules, next-hop objects: routes come and go with them unannounced.
      return look_up_all_again();
  }
}

void KernelNextHops::heard_neighbour(const nlmsghdr& message) {
  const auto change = neighbours_.apply(message);
  if (!change || change->before == change->after) return;
  const auto needed = needed_.find(change->key);
  if (needed == needed_.end()) return;
  needed->second.backoff = ask_backoff_min;
  if (change->after) {
    needed->second.next = Clock::now() + keep_alive_interval;
  } else {
    // Lost: ask at once, so that it may be back before anybody is told.
    needed->second.next = Clock::now();
    ask_due();
  }
  refresh_soon();
}

void KernelNextHops::resync() {
  if (const int result = neighbours_.load(); result != 0) {
    log_error("next_hops", "cannot read the kernel's neighbours",
              {{"error", std::strerror(-result)}});
  }
  refresh_soon();
  look_up_all_again();
}

void KernelNextHops::look_up_again(const Prefix& destination) {
  for (const auto& [address, route] : routes_) {
    if (destination.contains(address)) dirty_.insert(address);
  }
  if (!dirty_.empty()) look_up_soon();
}

void KernelNextHops::look_up_all_again() {
  for (const auto& [address, route] : routes_) dirty_.insert(address);
  look_up_soon();
}

/// Coalesces bursts, and leaves time for other work when a routing daemon keeps changing routes.
void KernelNextHops::look_up_soon() {
  if (look_up_ != 0) return;
  const std::chrono::nanoseconds delay =
      std::max<std::chrono::nanoseconds>(coalesce_delay, look_up_cost_ * look_up_share);
  look_up_ = loop_.after(delay, [this](int) {
    look_up_ = 0;
    look_up_dirty();
  });
}

void KernelNextHops::look_up_dirty() {
  const Clock::time_point start = Clock::now();
  for (const IpAddress& address : std::exchange(dirty_, {})) look_up(address);
  look_up_cost_ = Clock::now() - start;
  collect_needed();
  ask_due();
  refresh_all();
}

void KernelNextHops::look_up(const IpAddress& address) {
  routes_[address] = look_up_route(*netlink_, address);
}

void KernelNextHops::refresh_soon() {
  if (refresh_ != 0) return;
  refresh_ = loop_.after(coalesce_delay, [this](int) {
    refresh_ = 0;
    refresh_all();
  });
}

void KernelNextHops::refresh_all() {
  unsigned count = 0;
  for (const auto& [address, route] : routes_) {
    const bool was_resolved = next_hops_[address].resolved;
    if (!refresh(address)) continue;
    if (++count <= logs_per_refresh_max) log_change(address, was_resolved);
  }
  if (count > logs_per_refresh_max) {
    log_info("next_hops", "next hops changed", {{"addresses", count}});
  }
  if (count > 0) changed_();
}

void KernelNextHops::log_change(const IpAddress& address, bool was_resolved) const {
  const model::NextHop& now = next_hops_.at(address);
  if (now.resolved) {
    log_info("next_hops", "backend address resolved",
             {{"address", to_string(address)},
              {"how", describe(address)},
              {"mac", to_string(now.destination)}});
  } else {
    log(was_resolved ? LogLevel::warn : LogLevel::info, "next_hops", "backend address out of reach",
        {{"address", to_string(address)}, {"why", describe(address)}});
  }
}

/// Makes the next hop of `address` what route and neighbour say; true when it was another.
bool KernelNextHops::refresh(const IpAddress& address) {
  const RouteAnswer& route = routes_.at(address);
  model::NextHop next_hop;
  const auto port = ports_.find(route.ifindex);
  if (route.unicast && port != ports_.end()) {
    next_hop.port = port->second;
    if (const auto mac = neighbours_.find({route.ifindex, route.via})) {
      next_hop.resolved = true;
      next_hop.destination = *mac;
    }
  }
  model::NextHop& known = next_hops_[address];
  if (known == next_hop) return false;
  known = next_hop;
  return true;
}

void KernelNextHops::collect_needed() {
  std::map<NeighbourKey, Ask> needed;
  for (const auto& [address, route] : routes_) {
    if (!route.unicast || !ports_.contains(route.ifindex)) continue;
    const NeighbourKey key{route.ifindex, route.via};
    const auto known = needed_.find(key);
    needed.emplace(key, known == needed_.end() ? Ask{} : known->second);
  }
  needed_ = std::move(needed);
}

void KernelNextHops::ask_due() {
  const Clock::time_point now = Clock::now();
  unsigned asked = 0;
  for (auto& [key, ask] : needed_) {
    if (ask.next > now) continue;
    if (neighbours_.is_static(key)) {
      ask.next = now + keep_alive_interval;
      continue;
    }
    if (++asked > asks_per_tick_max) return;
    if (const int result = neighbours_.ask(key); result != 0) {
      log_warn("next_hops", "cannot ask for a neighbour",
               {{"neighbour", to_string(key.address)},
                {"interface", interface_name(key.ifindex)},
                {"error", std::strerror(-result)}});
    }
    if (neighbours_.find(key)) {
      ask.next = now + keep_alive_interval;
    } else {
      ask.next = now + ask.backoff;
      ask.backoff = std::min<milliseconds>(ask.backoff * 2, ask_backoff_max);
    }
  }
}

void KernelNextHops::tick() {
  ask_due();
  if (Clock::now() >= full_check_at_) {
    full_check_at_ = Clock::now() + full_check_interval;
    look_up_all_again();
  }
  tick_ = loop_.after(tick_interval, [this](int) { tick(); });
}

std::string KernelNextHops::describe(const IpAddress& address) const {
  const auto found = routes_.find(address);
  if (found == routes_.end()) return "not followed";
  const RouteAnswer& route = found->second;
  if (!route.unicast) return route.trouble;
  const std::string interface = interface_name(route.ifindex);
  if (!ports_.contains(route.ifindex)) {
    return fmt::format("route leaves by {}, which is not a port", interface);
  }
  if (!neighbours_.find({route.ifindex, route.via})) {
    return fmt::format("{} on {} does not answer", to_string(route.via), interface);
  }
  if (route.via == address) return fmt::format("direct on {}", interface);
  return fmt::format("via {} on {}", to_string(route.via), interface);
}

}  // namespace

Result<std::unique_ptr<NextHopTracker>> NextHopTracker::create(EventLoop& loop,
                                                               std::map<int, uint8_t> ports,
                                                               std::function<void()> changed) {
  auto netlink = NetlinkSocket::open();
  if (!netlink) return std::unexpected(netlink.error());
  auto tracker = std::make_unique<KernelNextHops>(loop, std::move(*netlink), std::move(ports),
                                                  std::move(changed));
  if (Status started = tracker->start(); !started) return std::unexpected(started.error());
  return tracker;
}

}  // namespace sluice::ctrl

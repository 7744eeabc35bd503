#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

#include "ctrl/config/draft.h"
#include "ctrl/config/first_use.h"
#include "ctrl/config/text.h"
#include "ctrl/config/values.h"

namespace sluice::ctrl {
namespace {

// These name no device of the machine, so that several ports may ask for one.
bool is_anonymous_device(std::string_view device) { return device == "null" || device == "ring"; }

// Every address of the node itself, with the place that gives it.
FirstUse<IpAddress> own_addresses(const Draft& draft) {
  FirstUse<IpAddress> own;
  for (size_t i = 0; i < draft.ports.size(); ++i) {
    const PortConfig& port = draft.config.ports[i];
    const PortPlaces& places = draft.ports[i];
    for (size_t j = 0; j < port.addresses.size(); ++j) {
      const IpAddress& address = port.addresses[j].address;
      if (!own.find(address)) own.note(address, places.addresses[j], "");
    }
    for (size_t j = 0; j < port.snat_addresses.size(); ++j) {
      const IpAddress& address = port.snat_addresses[j];
      if (!own.find(address)) own.note(address, places.snat_addresses[j], "");
    }
  }
  return own;
}

// A SNAT address may repeat an address of its own port; any other repetition is a conflict.
void check_port_addresses(const Draft& draft) {
  FirstUse<IpAddress> addresses, snat_addresses;
  for (size_t i = 0; i < draft.ports.size(); ++i) {
    const PortConfig& port = draft.config.ports[i];
    for (size_t j = 0; j < port.addresses.size(); ++j) {
      const IpAddress& address = port.addresses[j].address;
      addresses.note(address, draft.ports[i].addresses[j], to_string(address));
    }
  }
  for (size_t i = 0; i < draft.ports.size(); ++i) {
    const PortConfig& port = draft.config.ports[i];
    for (size_t j = 0; j < port.snat_addresses.size(); ++j) {
      const IpAddress& address = port.snat_addresses[j];
      const Value& place = draft.ports[i].snat_addresses[j];
      snat_addresses.note(address, place, to_string(address));
      const Value* owner = addresses.find(address);
      const auto is_own = [&](const Prefix& own) { return own.address == address; };
      if (owner && std::ranges::none_of(port.addresses, is_own)) {
        place.reject(fmt::format("{} is an address of another port, at {}", to_string(address),
                                 owner->where()));
      }
    }
  }
}

bool can_send_from(const Config& config, Family family) {
  return std::ranges::any_of(config.ports, [&](const PortConfig& port) {
    if (!port.snat_addresses.empty()) {
      return std::ranges::any_of(port.snat_addresses,
                                 [&](const IpAddress& a) { return a.family == family; });
    }
    return std::ranges::any_of(port.addresses,
                               [&](const Prefix& p) { return p.address.family == family; });
  });
}

// Sweeps the listeners by address and port: each may only meet those that began before it.
void check_overlaps(const Draft& draft) {
  std::vector<size_t> order;
  for (size_t i = 0; i < draft.listeners.size(); ++i) {
    if (draft.listeners[i].address && draft.listeners[i].port) order.push_back(i);
  }
  const auto& listeners = draft.config.listeners;
  const auto target = [&](size_t i) {
    return std::tie(listeners[i].protocol, listeners[i].address);
  };
  std::ranges::sort(order, {}, [&](size_t i) {
    return std::tuple(listeners[i].protocol, listeners[i].address, listeners[i].port_first, i);
  });
  size_t widest = 0;  // of the listeners with this target so far, the one that reaches furthest
  for (size_t k = 0; k < order.size(); ++k) {
    const size_t i = order[k];
    const bool same_target = k > 0 && target(widest) == target(i);
    if (same_target && listeners[i].port_first <= listeners[widest].port_last) {
      const auto [first, second] = std::minmax(i, widest);
      draft.listeners[second].port->reject(
          fmt::format("overlaps listener {} at {}: same address, protocol and port",
                      in_quotes(listeners[first].name), draft.listeners[first].port->where()));
    }
    if (!same_target || listeners[i].port_last > listeners[widest].port_last) widest = i;
  }
}

}  // namespace

void check_ports(const Draft& draft) {
  FirstUse<std::string> names, devices, taps;
  for (size_t i = 0; i < draft.ports.size(); ++i) {
    const PortConfig& port = draft.config.ports[i];
    const PortPlaces& places = draft.ports[i];
    const bool new_name = places.name && names.note(port.name, *places.name, in_quotes(port.name));
    if (places.device && !is_anonymous_device(port.device)) {
      devices.note(port.device, *places.device, in_quotes(port.device));
    }
    if (places.tap) {
      taps.note(port.tap, *places.tap, in_quotes(port.tap));
    } else if (new_name && !places.tap_is_bad) {  // the default, made of the name
      taps.note(port.tap, *places.name, "interface " + in_quotes(port.tap));
    }
  }
  check_port_addresses(draft);
}

void check_listeners(const Draft& draft) {
  FirstUse<std::string> names;
  const FirstUse<IpAddress> own = own_addresses(draft);
  std::array<bool, 2> checked = {};  // IPv4, IPv6
  for (size_t i = 0; i < draft.listeners.size(); ++i) {
    const ListenerConfig& listener = draft.config.listeners[i];
    const ListenerPlaces& places = draft.listeners[i];
    if (places.name) names.note(listener.name, *places.name, in_quotes(listener.name));
    if (!places.address) continue;
    if (const Value* owner = own.find(listener.address)) {
      places.address->reject(fmt::format("{} is the node's own address at {}, choose another one",
                                         to_string(listener.address), owner->where()));
    }
    const Family family = listener.address.family;
    bool& family_checked = checked[family == Family::v6];
    if (!family_checked && !draft.ports.empty() && !can_send_from(draft.config, family)) {
      places.address->reject(
          fmt::format("no port has an {} address to send to backends from", family_name(family)));
    }
    family_checked = true;
  }
  check_overlaps(draft);
}

void check_pools(const Draft& draft, Mistakes& mistakes) {
  FirstUse<std::string> names;
  const FirstUse<IpAddress> own = own_addresses(draft);
  FirstUse<IpAddress> virtual_addresses;
  for (size_t i = 0; i < draft.listeners.size(); ++i) {
    const IpAddress& address = draft.config.listeners[i].address;
    if (!draft.listeners[i].address || virtual_addresses.find(address)) continue;
    virtual_addresses.note(address, *draft.listeners[i].address, "");
  }
  size_t total = 0;
  for (size_t i = 0; i < draft.pools.size(); ++i) {
    const PoolConfig& pool = draft.config.pools[i];
    const PoolPlaces& places = draft.pools[i];
    if (places.name) names.note(pool.name, *places.name, in_quotes(pool.name));
    FirstUse<Endpoint> endpoints;
    for (size_t j = 0; j < pool.backends.size(); ++j) {
      const Endpoint endpoint{pool.backends[j].address, pool.backends[j].port};
      endpoints.note(endpoint, places.backends[j], to_string(endpoint));
      if (const Value* owner = virtual_addresses.find(endpoint.address)) {
        places.backends[j].reject(
            fmt::format("{} is the address of a listener at {}, packets "
                        "would come back for ever",
                        to_string(endpoint.address), owner->where()));
      } else if (const Value* port = own.find(endpoint.address)) {
        places.backends[j].reject(
            fmt::format("{} is the node's own address at {}, backends are "
                        "other machines",
                        to_string(endpoint.address), port->where()));
      }
    }
    total += pool.backends.size();
  }
  if (total > model::backends_max) {
    mistakes.add({}, "pool",
                 fmt::format("the pools hold {} backends, at most {} are possible", total,
                             model::backends_max));
  }
}

}  // namespace sluice::ctrl

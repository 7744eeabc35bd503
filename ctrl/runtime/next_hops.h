// NextHopTracker: how frames reach each backend, as the kernel's routes and neighbours say. It
// asks the kernel to resolve a neighbour before traffic needs it, again and again while there is
// no answer, and now and then afterwards, so that a moved MAC address is noticed although the
// traffic itself never passes the kernel. Works in the network namespace of the thread that
// created it. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "ctrl/runtime/event_loop.h"
#include "dataplane/base/address.h"
#include "dataplane/base/result.h"
#include "dataplane/model/snapshot.h"

namespace sluice::ctrl {

class NextHopTracker {
 public:
  /// `ports`: kernel interface index of a port's TAP → port id. `changed` is called (a few
  /// milliseconds later, once for many events) when next_hops() is not what it was.
  static Result<std::unique_ptr<NextHopTracker>> create(EventLoop& loop,
                                                        std::map<int, uint8_t> ports,
                                                        std::function<void()> changed);
  virtual ~NextHopTracker() = default;

  /// Follows exactly these addresses. next_hops() holds all of them on return, new ones resolved
  /// if the kernel knows already; `changed` is not called for what this call itself changes.
  virtual void set_addresses(const std::set<IpAddress>& addresses) = 0;

  virtual const std::map<IpAddress, model::NextHop>& next_hops() const = 0;

  /// Why an address is not resolved, or how it is: "no route", "route leaves by eth0, which is
  /// not a port", "10.0.1.1 on tap-back does not answer", "via 10.0.1.1 on tap-back".
  virtual std::string describe(const IpAddress& address) const = 0;
};

}  // namespace sluice::ctrl

// rtnetlink over libmnl: NetlinkSocket asks and gets its answer at once (the kernel answers
// inside the call), NetlinkMonitor hears what changes, on the event loop. Both belong to the
// network namespace of the thread that opened them. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ctrl/runtime/event_loop.h"
#include "dataplane/base/address.h"
#include "dataplane/base/result.h"

struct nlattr;
struct nlmsghdr;

namespace sluice::ctrl {

using NetlinkVisitor = std::function<void(const nlmsghdr& message)>;

class NetlinkSocket {
 public:
  static Result<std::unique_ptr<NetlinkSocket>> open();
  virtual ~NetlinkSocket() = default;

  /// Sends `request` (sequence number and port are filled in), shows every answer to `each` and
  /// returns 0 after the acknowledgement or the end of the dump, else -errno. A dump that the
  /// kernel interrupted (NLM_F_DUMP_INTR) gives -EINTR: ask again.
  virtual int transact(nlmsghdr& request, const NetlinkVisitor& each = {}) = 0;
};

class NetlinkMonitor {
 public:
  /// Joins the RTNLGRP_* `groups`. `overflow` is called when the kernel dropped messages because
  /// we were slow: whatever was known is to be asked for again.
  static Result<std::unique_ptr<NetlinkMonitor>> open(EventLoop& loop,
                                                      std::span<const unsigned> groups,
                                                      NetlinkVisitor each,
                                                      std::function<void()> overflow);
  virtual ~NetlinkMonitor() = default;
};

/// AF_INET or AF_INET6.
uint8_t address_family(const IpAddress& address);
/// An address attribute; `family` is AF_*. False when the length does not fit the family.
bool read_address(const nlattr& attribute, uint8_t family, IpAddress& into);

}  // namespace sluice::ctrl

// TapDevice: the kernel's side of one port. Frames that the kernel sends come out of on_frame,
// frames for the kernel go in by write(). The interface is not persistent: it lives as long as
// this object. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ctrl/runtime/event_loop.h"
#include "ctrl/runtime/netlink.h"
#include "dataplane/base/address.h"
#include "dataplane/base/result.h"

namespace sluice::ctrl {

inline constexpr size_t tap_reads_in_flight = 8;
inline constexpr size_t tap_writes_in_flight_max = 512;

struct TapOptions {
  std::string name;  // at most 15 characters
  MacAddress mac;
  uint16_t mtu = 1500;  // L3 bytes
};

struct TapCounters {
  uint64_t from_kernel_frames = 0;
  uint64_t from_kernel_bytes = 0;
  uint64_t to_kernel_frames = 0;
  uint64_t to_kernel_bytes = 0;
  uint64_t to_kernel_dropped = 0;  // too many writes in flight, or longer than the MTU allows
  uint64_t errors = 0;             // reads and writes that the kernel refused
};

class TapDevice {
 public:
  /// An Ethernet frame without FCS and without vnet header; valid during the call.
  using OnFrame = std::function<void(std::span<const uint8_t> frame)>;

  /// Makes the interface and brings it up. Fails when the name is taken or without CAP_NET_ADMIN.
  static Result<std::unique_ptr<TapDevice>> create(EventLoop& loop, NetlinkSocket& netlink,
                                                   const TapOptions& options, OnFrame on_frame);
  virtual ~TapDevice() = default;

  virtual const std::string& name() const = 0;
  virtual int ifindex() const = 0;
  /// Copies `frame` and hands it to the kernel; false when it was dropped (and counted).
  virtual bool write(std::span<const uint8_t> frame) = 0;
  /// See Interface::set_addresses.
  virtual Status set_addresses(const std::vector<Prefix>& addresses) = 0;
  virtual const TapCounters& counters() const = 0;
};

}  // namespace sluice::ctrl

// PortPlan: what has to be opened for one logical port, worked out from its device string and from
// what the kernel says, before any driver is touched. Everything that a person can get wrong in a
// device string is found here, with the reason.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "nic/device_spec.h"
#include "nic/interface.h"
#include "nic/port_set.h"
#include "nic/wait_fds.h"

namespace sluice::nic {

/// One ethdev to be made of a port. Several make up a port where a device gives one queue each.
struct EthdevPlan {
  std::string name;       // vdev name or PCI address
  std::string arguments;  // of the vdev
};

struct PortPlan {
  PortOptions options;
  uint8_t id = 0;
  DeviceSpec spec;
  std::vector<EthdevPlan> ethdevs;
  std::optional<InterfaceInfo> interface;  // of the kernel, where the device stands on one
  unsigned queues_wanted = 1;  // of the port; the device may have fewer if `queues_exact` is false
  bool queues_exact = false;
  FdKind fd_kind = FdKind::none;
  int retries = 0;                   // when starting fails, 50 ms apart
  uint32_t ring_descriptors = 1024;  // per RX and TX queue
  uint32_t buffers_per_queue = 0;    // that the device holds at most
  uint32_t frame_bytes_max = 0;      // the largest piece of memory that a frame needs
};

/// `id` becomes PortInfo::id. The error is a phrase about the device.
Result<PortPlan> plan_port(const PortOptions& options, uint8_t id, unsigned workers);

/// plan_port() for all, plus what ports may not share; the errors name port and device.
Result<std::vector<PortPlan>> plan_ports(const std::vector<PortOptions>& ports, unsigned workers);

/// "port front: af_xdp:veth0: REASON"
std::string port_error(const PortOptions& options, std::string_view reason);

}  // namespace sluice::nic

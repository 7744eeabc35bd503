// The ports that SNAT may use, shared out between the workers and the kernel, which uses the same
// addresses for its own connections. Pure but for reading /proc.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "ctrl/config/config.h"
#include "dataplane/base/result.h"
#include "dataplane/model/snapshot.h"

namespace sluice::ctrl {

using PortRange = std::pair<uint16_t, uint16_t>;  // inclusive

/// "32768\t60999\n", as in /proc/sys/net/ipv4/ip_local_port_range.
Result<PortRange> parse_port_range(std::string_view text);

/// 1024..65535 without the kernel's own range and without the ports of listeners that have the
/// address of a port or of SNAT. Fails, naming the setting, when fewer than 1,024 are left.
Result<model::SnatPortSet> snat_ports(const Config& config, PortRange kernel);

/// The kernel's range in the network namespace of the calling thread.
Result<PortRange> kernel_port_range();

}  // namespace sluice::ctrl

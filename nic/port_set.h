// PortSet: the NIC ports of this node, opened from device strings. DPDK-free view for ctrl; the
// packet path uses nic/port.h. Opened once at start by the ctrl thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/result.h"

namespace sluice::nic {

struct EalOptions {
  unsigned main_core = 0;
  std::vector<unsigned> worker_cores;  // one worker each; a core may occur more than once
  uint32_t memory_mb = 1024;
  std::string program = "sluiced";
};

/// EAL lcore ids of the workers, in the order of EalOptions::worker_cores.
/// Starts the EAL in memory (no files left behind). Call once per process. An error says what to
/// do: reserve hugepages, run as root, free a core.
Result<std::vector<unsigned>> start_eal(const EalOptions& options);

struct PortOptions {
  std::string name;
  std::string device;   // "0000:3b:00.0", "af_xdp:IFACE", "af_packet:IFACE", "memif:SOCKET",
                        // "ring", "null", "pcap:FILE", or any DPDK vdev string
  unsigned queues = 0;  // 0: one per worker where the device can, else fewer
};

struct PortInfo {
  std::string name;
  std::string device;
  uint8_t id = 0;  // index: Snapshot::ports, PuntFrame::port
  MacAddress mac;
  uint16_t mtu = 1500;
  unsigned queues = 1;
  std::string driver;
  std::vector<std::string> capabilities;  // "rss", "rx_ipv4_checksum", "rx_l4_checksum", ...
};

class PortSet {
 public:
  /// Opens, configures and starts every port for `workers` workers; an error names the port.
  static Result<std::unique_ptr<PortSet>> open(const std::vector<PortOptions>& ports,
                                               unsigned workers);
  virtual ~PortSet() = default;

  virtual const std::vector<PortInfo>& ports() const = 0;
  /// Stops and closes every device; workers are stopped before.
  virtual void close() = 0;
};

}  // namespace sluice::nic

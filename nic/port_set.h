// PortSet: the NIC ports of this node, opened from device strings. DPDK-free view for ctrl; the
// packet path uses nic/port.h. Opened once at start by the ctrl thread; everything here is called
// by that thread unless a comment says otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/result.h"

namespace sluice::nic {

inline constexpr unsigned ports_max = 32;
inline constexpr unsigned workers_max = 64;
inline constexpr unsigned queues_max = 64;  // of one port

enum class LogLevel : uint8_t { error, warning, info, debug };

/// Receives the log lines of DPDK and its drivers, without the newline. Called by any thread,
/// workers included, so it neither blocks nor calls back into nic.
using LogSink = std::function<void(LogLevel level, std::string_view line)>;

struct EalOptions {
  unsigned main_core = 0;
  std::vector<unsigned> worker_cores;  // one worker each; a core may occur more than once
  uint32_t memory_mb = 1024;
  std::string program = "sluiced";
  std::vector<std::string> devices;  // PortOptions::device of every port: only PCI devices named
                                     // here are taken from the kernel
  LogSink log;                       // empty: DPDK stays silent
  LogLevel log_level = LogLevel::warning;
};

/// EAL lcore ids of the workers, in the order of EalOptions::worker_cores; the calling thread
/// becomes the main lcore, pinned to main_core. Starts the EAL in memory (no files left behind).
/// Call once per process. An error says what to do: reserve hugepages, run as root, free a core.
Result<std::vector<unsigned>> start_eal(const EalOptions& options);

/// Gives the memory back; after every PortSet is closed. The EAL cannot be started again.
void stop_eal();

struct PortOptions {
  std::string name;
  std::string device;   // "0000:3b:00.0", "af_xdp:IFACE", "af_packet:IFACE", "memif:SOCKET",
                        // "ring", "null", "pcap:FILE", or any DPDK vdev string; see nic/README.md
  unsigned queues = 0;  // 0: one per worker where the device can, else fewer (AF_XDP: all of the
                        // interface, as the kernel would keep the frames of the others)
};

/// Checks the form of a device string without touching any device; needs no EAL.
Status check_device(const std::string& device);

/// The Toeplitz key that every device with RSS gets and that owners are computed with in software
/// (Microsoft RSS, "Verifying the RSS Hash Calculation").
inline constexpr std::array<uint8_t, 40> rss_key = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

inline constexpr unsigned reta_slots = 128;

/// The software RETA: hash % reta_slots → worker, the same for every port.
inline constexpr unsigned reta_worker(uint32_t hash, unsigned workers) {
  return hash % reta_slots % workers;
}

/// What a device's RSS does, as read back from it.
struct RssState {
  bool present = false;
  std::array<uint8_t, 40> key{};
  std::vector<uint16_t> reta;  // hash % reta.size() → queue; empty without RSS
  bool agrees = false;         // steers every TCP and UDP tuple to the worker reta_worker() names
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
  RssState rss;
  bool sleeps_on_fd = false;  // a kernel fd announces frames on every queue (RxQueue::wait_fd)
};

/// A device's own counters since it was opened, and its link now.
struct DeviceStats {
  uint64_t rx_packets = 0, rx_bytes = 0;
  uint64_t tx_packets = 0, tx_bytes = 0;
  uint64_t rx_missed = 0;  // no room: the workers were too slow
  uint64_t rx_errors = 0, tx_errors = 0;
  uint64_t rx_no_buffer = 0;  // the buffer pool was empty
  bool link_up = false;
  uint32_t link_mbps = 0;  // 0: unknown
};

class PortSet {
 public:
  /// Opens, configures and starts every port for `workers` workers; an error names the port and
  /// its device, and leaves no device open. Needs start_eal() with the same devices.
  static Result<std::unique_ptr<PortSet>> open(const std::vector<PortOptions>& ports,
                                               unsigned workers);
  virtual ~PortSet() = default;

  virtual const std::vector<PortInfo>& ports() const = 0;
  /// Reads the device's counters (a few system calls for kernel-attached devices).
  virtual DeviceStats statistics(uint8_t port) const = 0;
  /// Stops and closes every device; workers are stopped before.
  virtual void close() = 0;
};

}  // namespace sluice::nic

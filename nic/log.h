// DPDK's log, routed to the embedding program's sink instead of stderr and syslog. Lines of
// libxdp and libbpf (loaded by the AF_XDP driver) take the same way. Cold: drivers log only
// when something is wrong.
#pragma once

#include <string>
#include <string_view>

#include "nic/port_set.h"

namespace sluice::nic {

/// Routes rte_log() to `sink` from now on. Call before rte_eal_init(), and once.
void route_log(LogSink sink, LogLevel level);

/// Routes the messages of libxdp and libbpf, which are loaded with the AF_XDP driver; call after
/// rte_eal_init().
void route_library_log();

/// One line of somebody else, e.g. captured from stderr.
void log_line(LogLevel level, std::string_view line);

/// Holds back the errors and warnings that are logged while it lives, so that the message of a
/// failure can quote them once. What nobody took is logged at the end. One at a time.
class LogCapture {
 public:
  LogCapture();
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  /// The last lines, newest last, joined by "; "; empty when nothing was logged.
  std::string take();
};

}  // namespace sluice::nic

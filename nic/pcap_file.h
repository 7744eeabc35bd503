// Counts the packets of a capture file. Cold; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/base/result.h"

namespace sluice::nic {

/// Packets in a pcap file (not pcapng), of either byte order and time resolution. A file that ends
/// within a packet counts the whole ones.
Result<uint64_t> count_pcap_packets(const std::string& path);

}  // namespace sluice::nic

// Ring ports: an ethdev whose queues are rings that the embedding program holds the other ends of
// (dpdk_port_set.h: ring_port_rx, ring_port_tx). For tests and in-process rigs.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/base/result.h"

namespace sluice::nic {

/// Makes the rings and the ethdev "net_ring_NAME" over them; returns its id.
Result<uint16_t> make_ring_device(const std::string& name, unsigned queues);

/// Frees the rings and what lies in them, after the device is closed.
void free_rings(const std::string& name);

}  // namespace sluice::nic

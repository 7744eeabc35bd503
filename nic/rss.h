// RSS: gives a device our Toeplitz key and RETA, reads both back, and judges whether the device
// then steers each tuple to the worker that the software function names.
#pragma once

#include <rte_ethdev.h>

#include <cstdint>

#include "nic/port_set.h"

namespace sluice::nic {

/// Adds RSS to `conf` where the device has it for TCP and UDP and more than one queue is used.
/// Returns whether it did. `key` is the memory that `conf` points to afterwards.
bool add_rss(const rte_eth_dev_info& device, unsigned queues, std::array<uint8_t, 64>& key,
             rte_eth_conf& conf);

/// Programs the RETA of a started device and reads key and RETA back.
RssState program_rss(uint16_t ethdev, const rte_eth_dev_info& device, unsigned queues,
                     unsigned workers);

/// `state` as read back: does hash → RETA → queue → worker (queue % workers) equal reta_worker()
/// for every hash?
bool rss_agrees(const RssState& state, unsigned workers);

}  // namespace sluice::nic

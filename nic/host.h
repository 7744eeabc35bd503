// What the machine must offer before the EAL can start: CPU features, cores, free hugepages. Each
// check answers with what to do. DPDK-free; called once, by the main thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/result.h"

namespace sluice::nic {

/// `flags`: the "flags" line of /proc/cpuinfo. Sluice is compiled for x86-64-v3 with AES.
Status check_cpu_flags(std::string_view flags);

/// check_cpu_flags() of this machine.
Status check_cpu();

/// Fails when a core does not exist or is not this process's to use (affinity, cgroup).
Status check_cores(unsigned main_core, const std::vector<unsigned>& worker_cores);

/// Fails when fewer than `memory_mb` are free in hugepages of all sizes.
/// `root` is the directory of the kernel's hugepages-*kB folders.
Status check_hugepages(uint32_t memory_mb, const std::string& root = "/sys/kernel/mm/hugepages");

}  // namespace sluice::nic

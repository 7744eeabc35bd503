// What the machine must offer before the EAL can start: CPU features, cores, free hugepages,
// rights. Each check answers with what to do. DPDK-free; called once, by the main thread.
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

/// Fails when a device of the list needs a capability (capabilities(7)) that is not in `effective`,
/// a mask as CapEff of /proc/PID/status has it. Strings that are no device ask for nothing.
Status check_capabilities(const std::vector<std::string>& devices, uint64_t effective);

/// Those of this process; all of them where /proc does not tell.
uint64_t effective_capabilities();

}  // namespace sluice::nic

#include "nic/host.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "nic/device_spec.h"

namespace sluice::nic {
namespace {

// The packet path's own instructions; the rest of x86-64-v3 comes with them on every CPU made.
constexpr std::array<std::string_view, 3> needed_flags = {"avx2", "bmi2", "aes"};

/// A right, and what gives it.
struct Need {
  uint64_t any_of = 0;
  std::string_view name;
};

constexpr uint64_t bit(unsigned capability) { return uint64_t{1} << capability; }
constexpr Need net_admin = {bit(CAP_NET_ADMIN), "CAP_NET_ADMIN"};
constexpr Need net_raw = {bit(CAP_NET_RAW), "CAP_NET_RAW"};
constexpr Need bpf = {bit(CAP_BPF) | bit(CAP_SYS_ADMIN), "CAP_BPF"};

std::vector<Need> needs_of(DeviceKind kind) {
  if (kind == DeviceKind::af_xdp) return {net_admin, net_raw, bpf};
  if (kind == DeviceKind::af_packet) return {net_admin, net_raw};
  return {};
}

uint64_t read_number(const std::filesystem::path& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  file >> value;
  return value;
}

/// One page size of the kernel.
struct PageSize {
  uint64_t page_kb = 0;
  uint64_t total = 0;
  uint64_t free = 0;
};

std::vector<PageSize> read_page_sizes(const std::string& root) {
  std::vector<PageSize> sizes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
    constexpr std::string_view prefix = "hugepages-";
    const std::string name = entry.path().filename();
    PageSize size;
    if (!name.starts_with(prefix)) continue;
    std::from_chars(name.data() + prefix.size(), name.data() + name.size(), size.page_kb);
    size.total = read_number(entry.path() / "nr_hugepages");
    size.free = read_number(entry.path() / "free_hugepages");
    if (size.page_kb != 0) sizes.push_back(size);
  }
  std::ranges::sort(sizes, {}, &PageSize::page_kb);
  return sizes;
}

/// "0-3,8" of a sorted list.
std::string ranges_text(const std::vector<unsigned>& cores) {
  std::string text;
  for (size_t first = 0; first < cores.size();) {
    size_t last = first;
    while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += first == last ? fmt::format("{}", cores[first])
                          : fmt::format("{}-{}", cores[first], cores[last]);
    first = last + 1;
  }
  return text;
}

}  // namespace

Status check_cpu_flags(std::string_view flags) {
  std::istringstream words{std::string(flags)};
  std::vector<std::string> present;
  for (std::string word; words >> word;) present.push_back(word);
  std::vector<std::string_view> missing;
  for (const std::string_view flag : needed_flags) {
    if (std::ranges::find(present, flag) == present.end()) missing.push_back(flag);
  }
  if (missing.empty()) return {};
  return fail(fmt::format(
      "this CPU lacks {}: Sluice needs x86-64-v3 with AES (Intel Haswell, AMD Zen or later; in a "
      "virtual machine pass the host's CPU through)",
      fmt::join(missing, ", ")));
}

Status check_cpu() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("flags")) return check_cpu_flags(line.substr(line.find(':') + 1));
  }
  return fail("/proc/cpuinfo has no CPU flags: is /proc mounted?");
}

Status check_cores(unsigned main_core, const std::vector<unsigned>& worker_cores) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
    return fail("cannot read this process's CPU affinity");
  }
  std::vector<unsigned> usable;
  for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &allowed)) usable.push_back(core);
  }
  const auto check = [&](std::string_view key, unsigned core) -> Status {
    if (std::ranges::binary_search(usable, core)) return {};
    return fail(fmt::format("{}: core {} is not there; this process may use {}", key, core,
                            ranges_text(usable)));
  };
  if (Status status = check("main_core", main_core); !status) return status;
  for (const unsigned core : worker_cores) {
    if (Status status = check("worker_cores", core); !status) return status;
  }
  return {};
}

Status check_hugepages(uint32_t memory_mb, const std::string& root) {
  const std::vector<PageSize> sizes = read_page_sizes(root);
  if (sizes.empty()) {
    return fail("this kernel has no hugepages (CONFIG_HUGETLBFS), which DPDK needs");
  }
  uint64_t free_kb = 0;
  for (const PageSize& size : sizes) free_kb += size.free * size.page_kb;
  const uint64_t needed_kb = uint64_t{memory_mb} * 1024;
  if (free_kb >= needed_kb) return {};
  const PageSize& page = sizes.front();  // the size that can be reserved while running
  const uint64_t missing_kb = needed_kb - free_kb;
  const uint64_t reserve = page.total + (missing_kb + page.page_kb - 1) / page.page_kb;
  return fail(
      fmt::format("memory_mb = {} needs {} MB of hugepages, but {} MB are free; reserve them: "
                  "echo {} > {}/hugepages-{}kB/nr_hugepages",
                  memory_mb, memory_mb, free_kb / 1024, reserve, root, page.page_kb));
}

Status check_capabilities(const std::vector<std::string>& devices, uint64_t effective) {
  for (const std::string& device : devices) {
    const auto spec = parse_device(device);
    if (!spec) continue;
    std::vector<std::string_view> missing;
    for (const Need& need : needs_of(spec->kind)) {
      if ((effective & need.any_of) == 0) missing.push_back(need.name);
    }
    if (missing.empty()) continue;
    return fail(fmt::format("{} needs {}, which this process lacks; run as root or with it", device,
                            fmt::join(missing, ", ")));
  }
  return {};
}

uint64_t effective_capabilities() {
  std::ifstream file("/proc/self/status");
  constexpr std::string_view key = "CapEff:\t";
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    uint64_t mask = 0;
    std::from_chars(line.data() + key.size(), line.data() + line.size(), mask, 16);
    return mask;
  }
  return ~uint64_t{0};
}

}  // namespace sluice::nic

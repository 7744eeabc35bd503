// Starting and stopping the EAL: in memory, nothing left in the file system, DPDK's own output
// routed to the log sink.
#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "nic/device_spec.h"
#include "nic/host.h"
#include "nic/log.h"
#include "nic/port_set.h"
#include "nic/stderr_capture.h"

namespace sluice::nic {
namespace {

/// "0@MAIN,1@CORE,2@CORE...": lcore ids are ours, so that several workers can share a core.
std::string lcores_argument(const EalOptions& options) {
  std::string text = fmt::format("0@{}", options.main_core);
  for (size_t worker = 0; worker < options.worker_cores.size(); ++worker) {
    text += fmt::format(",{}@{}", worker + 1, options.worker_cores[worker]);
  }
  return text;
}

Result<std::vector<std::string>> eal_arguments(const EalOptions& options) {
  std::vector<std::string> arguments = {
      options.program,
      "--in-memory",
      "--no-telemetry",
      fmt::format("--file-prefix={}-{}", options.program, getpid()),
      fmt::format("--lcores={}", lcores_argument(options)),
      "--main-lcore=0",
      "-m",
      fmt::format("{}", options.memory_mb),
  };
  if (options.log_level == LogLevel::debug) arguments.emplace_back("--log-level=*:debug");
  bool any_pci = false;
  for (const std::string& device : options.devices) {
    const Result<DeviceSpec> spec = parse_device(device);
    if (!spec) return fail(fmt::format("device {}: {}", device, spec.error().message));
    if (spec->kind != DeviceKind::pci) continue;
    any_pci = true;
    arguments.emplace_back("-a");
    arguments.push_back(spec->options.empty() ? spec->target
                                              : fmt::format("{},{}", spec->target, spec->options));
  }
  // Virtual addresses keep a buffer pool in one piece, as AF_XDP needs it; with PCI devices the
  // IOMMU decides.
  if (!any_pci) {
    arguments.emplace_back("--no-pci");
    arguments.emplace_back("--iova-mode=va");
  }
  return arguments;
}

Status check_machine(const EalOptions& options) {
  if (options.worker_cores.empty()) return fail("worker_cores: at least one worker is needed");
  if (options.worker_cores.size() > workers_max) {
    return fail(fmt::format("worker_cores: {} workers, at most {} are possible",
                            options.worker_cores.size(), workers_max));
  }
  if (Status status = check_cpu(); !status) return status;
  if (Status status = check_cores(options.main_core, options.worker_cores); !status) return status;
  if (Status status = check_hugepages(options.memory_mb); !status) return status;
  return check_capabilities(options.devices, effective_capabilities());
}

/// The EAL's directory for shared files: created even in memory, and then empty.
void remove_runtime_directory() {
  const std::string directory = rte_eal_get_runtime_dir();
  if (directory.empty()) return;
  rmdir(directory.c_str());
  rmdir(directory.substr(0, directory.rfind('/')).c_str());  // unless another process uses it
}

Status initialise(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  LogCapture log;
  StderrCapture stderr_lines;
  const int parsed = rte_eal_init(static_cast<int>(argv.size()), argv.data());
  const int error = rte_errno;
  for (const std::string& line : stderr_lines.stop()) log_line(LogLevel::info, line);
  remove_runtime_directory();
  if (parsed >= 0) return {};
  const std::string said = log.take();
  return fail(fmt::format("cannot start DPDK: {}{}", said.empty() ? rte_strerror(error) : said,
                          geteuid() == 0 ? "" : "; run as root"));
}

}  // namespace

Result<std::vector<unsigned>> start_eal(const EalOptions& options) {
  static std::atomic<bool> started = false;
  if (started) return fail("DPDK was started already in this process");
  if (Status status = check_machine(options); !status) return fail(status.error().message);
  Result<std::vector<std::string>> arguments = eal_arguments(options);
  if (!arguments) return fail(arguments.error().message);
  started = true;
  route_log(options.log, options.log_level);
  if (Status status = initialise(std::move(*arguments)); !status) {
    return fail(status.error().message);
  }
  route_library_log();
  std::vector<unsigned> lcores(options.worker_cores.size());
  std::ranges::generate(lcores, [next = 1u]() mutable { return next++; });
  return lcores;
}

void stop_eal() {
  rte_eal_cleanup();
  remove_runtime_directory();
}

}  // namespace sluice::nic

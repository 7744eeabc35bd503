// Starting the EAL: what is checked before, what is said, where the lcores run, what is left
// behind.
#include <fmt/format.h>
#include <rte_lcore.h>
#include <rte_mempool.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "nic/buffer_pool.h"
#include "tests/nic/support.h"

namespace sluice::nic {
namespace {

using namespace test;

std::string start_error(const EalOptions& options) {
  const auto lcores = start_eal(options);
  return lcores ? "it started" : lcores.error().message;
}

EalOptions small_options() {
  EalOptions options;
  options.worker_cores = {0};
  options.memory_mb = 64;
  options.program = "eal-test";
  return options;
}

std::set<std::string> files_in(const std::filesystem::path& directory) {
  std::set<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    names.insert(entry.path());
  }
  return names;
}

// The failures come first: a process starts the EAL once.
TEST(Eal, SaysWhatIsMissing) {
  EalOptions options = small_options();
  options.worker_cores = {};
  EXPECT_EQ(start_error(options), "worker_cores: at least one worker is needed");
  options = small_options();
  options.main_core = 900;
  EXPECT_EQ(
      start_error(options).rfind("main_core: core 900 is not there; this process may use 0", 0),
      0u);
  options = small_options();
  options.worker_cores = {0, 901};
  EXPECT_EQ(start_error(options).rfind("worker_cores: core 901 is not there", 0), 0u);
  options = small_options();
  options.worker_cores.assign(65, 0);
  EXPECT_EQ(start_error(options), "worker_cores: 65 workers, at most 64 are possible");
  options = small_options();
  options.memory_mb = 4'000'000;
  EXPECT_EQ(
      start_error(options).rfind("memory_mb = 4000000 needs 4000000 MB of hugepages, but ", 0), 0u);
  options = small_options();
  options.devices = {"af_xdp:"};
  EXPECT_EQ(start_error(options), "device af_xdp:: af_xdp needs what it stands on: af_xdp:IFACE");
}

TEST(Eal, StartsPinnedAndLeavesNothingBehind) {
  const std::set<std::string> run_before = files_in("/run");
  const std::set<std::string> run_dpdk_before = files_in("/run/dpdk");
  const std::set<std::string> tmp_before = files_in("/dev/shm");
  const unsigned last_core = static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN)) - 1;
  EalOptions options = small_options();
  options.worker_cores = {last_core, last_core, 0};
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  const auto lcores = start_eal(options);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  ASSERT_TRUE(lcores) << lcores.error().message;
  EXPECT_EQ(*lcores, (std::vector<unsigned>{1, 2, 3}));
  EXPECT_EQ(rte_get_main_lcore(), 0u);
  EXPECT_TRUE(lcores_share_a_core());
  for (size_t worker = 0; worker < lcores->size(); ++worker) {
    cpu_set_t cores = rte_lcore_cpuset((*lcores)[worker]);
    EXPECT_EQ(CPU_COUNT(&cores), 1);
    EXPECT_TRUE(CPU_ISSET(options.worker_cores[worker], &cores)) << worker;
  }
  cpu_set_t own;
  ASSERT_EQ(sched_getaffinity(0, sizeof(own), &own), 0);
  EXPECT_EQ(CPU_COUNT(&own), 1);
  EXPECT_TRUE(CPU_ISSET(0, &own));

  EXPECT_EQ(start_error(options), "DPDK was started already in this process");

  // Workers that share a core must not wait for each other inside the pool's ring.
  const auto pool =
      make_buffer_pool({.name = "shared", .buffers = 512, .frame_bytes_max = 0, .socket = 0});
  ASSERT_TRUE(pool) << pool.error().message;
  EXPECT_STREQ(rte_mempool_get_ops((*pool)->ops_index)->name, "ring_mt_rts");
  EXPECT_EQ(rte_mempool_avail_count(*pool), 512u);
  EXPECT_EQ((*pool)->nb_mem_chunks, 1u);

  EXPECT_EQ(files_in("/run"), run_before);
  EXPECT_EQ(files_in("/run/dpdk"), run_dpdk_before);
  EXPECT_EQ(files_in("/dev/shm"), tmp_before);
  stop_eal();
  EXPECT_EQ(files_in("/run"), run_before);
}

}  // namespace
}  // namespace sluice::nic

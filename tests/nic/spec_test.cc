// Everything in nic that needs no device: device strings, the checks of the machine, capture files,
// the RETA comparison, stderr held back.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "nic/device_spec.h"
#include "nic/host.h"
#include "nic/pcap_file.h"
#include "nic/rss.h"
#include "nic/stderr_capture.h"
#include "nic/wait_fds.h"

namespace sluice::nic {
namespace {

std::string spec_error(const std::string& device) {
  const Status status = check_device(device);
  return status ? "it is fine" : status.error().message;
}

std::string scratch(const std::string& name) {
  return testing::TempDir() + "nic-spec-" + std::to_string(getpid()) + "-" + name;
}

TEST(DeviceSpec, TakesEveryForm) {
  struct Case {
    const char* device;
    DeviceKind kind;
    const char* target;
    const char* options;
  };
  constexpr Case cases[] = {
      {"0000:3B:00.1", DeviceKind::pci, "0000:3b:00.1", ""},
      {"3b:00.0", DeviceKind::pci, "0000:3b:00.0", ""},
      {"3b:00.0,queues=4", DeviceKind::pci, "0000:3b:00.0", "queues=4"},
      {"af_xdp:veth-front", DeviceKind::af_xdp, "veth-front", ""},
      {"af_xdp:eth0,busy_budget=32", DeviceKind::af_xdp, "eth0", "busy_budget=32"},
      {"af_packet:eth0", DeviceKind::af_packet, "eth0", ""},
      {"memif:/run/m.sock,role=client,id=3", DeviceKind::memif, "/run/m.sock", "role=client,id=3"},
      {"ring", DeviceKind::ring, "", ""},
      {"ring:a", DeviceKind::ring, "a", ""},
      {"null", DeviceKind::null, "", ""},
      {"null,no-rx=1", DeviceKind::null, "", "no-rx=1"},
      {"pcap:/tmp/x.pcap,infinite_rx=1", DeviceKind::pcap, "/tmp/x.pcap", "infinite_rx=1"},
      {"net_tap0,iface=x,mac=fixed", DeviceKind::vdev, "net_tap0", "iface=x,mac=fixed"},
  };
  for (const Case& expected : cases) {
    const auto spec = parse_device(expected.device);
    ASSERT_TRUE(spec) << expected.device << ": " << spec.error().message;
    EXPECT_EQ(spec->kind, expected.kind) << expected.device;
    EXPECT_EQ(spec->target, expected.target) << expected.device;
    EXPECT_EQ(spec->options, expected.options) << expected.device;
    EXPECT_TRUE(check_device(expected.device)) << expected.device;
  }
}

TEST(DeviceSpec, SaysWhatIsWrong) {
  const std::string forms =
      "a PCI address, af_xdp:IFACE, af_packet:IFACE, memif:SOCKET, ring:NAME, null, pcap:FILE or a "
      "DPDK device such as net_tap0,iface=x";
  EXPECT_EQ(spec_error(""), "the device is empty; it is " + forms);
  EXPECT_EQ(spec_error("eth0"), "\"eth0\" is no device; it is " + forms);
  EXPECT_EQ(spec_error("0000:3b:00.9"), "\"0000\" is no device; it is " + forms);
  EXPECT_EQ(spec_error("af_xdp"), "af_xdp needs what it stands on: af_xdp:IFACE");
  EXPECT_EQ(spec_error("memif:"), "memif needs what it stands on: memif:SOCKET");
  EXPECT_EQ(spec_error("pcap"), "pcap needs what it stands on: pcap:FILE");
  EXPECT_EQ(spec_error("null:x"), "null takes no \":x\"");
  EXPECT_EQ(spec_error("af_xdp:a/b"), "\"a/b\" cannot be the name of an interface");
  EXPECT_EQ(spec_error("af_packet:sixteen-bytes-xx"),
            "\"sixteen-bytes-xx\" cannot be the name of an interface");
  EXPECT_EQ(spec_error("af_xdp:eth0,start_queue=1"),
            "af_xdp: unknown option \"start_queue\"; it has busy_budget, force_copy, xdp_prog");
  EXPECT_EQ(spec_error("ring:a,x=1"), "ring: unknown option \"x\"; it has none");
  EXPECT_EQ(spec_error("null,no-rx"), "null: option \"no-rx\" is not of the form key=value");
  EXPECT_EQ(spec_error("null,no-rx="), "null: option \"no-rx=\" is not of the form key=value");
  EXPECT_EQ(spec_error("null,=1"), "null: option \"=1\" is not of the form key=value");
}

TEST(DeviceSpec, KnowsWhatCannotBeShared) {
  const auto resource = [](const char* device) {
    return exclusive_resource(*parse_device(device));
  };
  EXPECT_EQ(resource("af_xdp:eth0"), resource("af_packet:eth0"));
  EXPECT_EQ(resource("3b:00.0"), resource("0000:3B:00.0"));
  EXPECT_EQ(resource("memif:/m"), resource("memif:/m,id=0,role=server"));
  EXPECT_NE(resource("memif:/m"), resource("memif:/m,id=1"));
  EXPECT_NE(resource("memif:/m"), resource("memif:/m,role=client"));
  EXPECT_EQ(resource("null"), "");
}

TEST(Host, NamesMissingCpuFeatures) {
  EXPECT_TRUE(check_cpu_flags("fpu sse4_2 avx2 bmi1 bmi2 aes avx512f"));
  const Status status = check_cpu_flags("fpu avx2 vaes bmi1");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            "this CPU lacks bmi2, aes: Sluice needs x86-64-v3 with AES (Intel Haswell, AMD Zen or "
            "later; in a virtual machine pass the host's CPU through)");
  EXPECT_TRUE(check_cpu());
}

TEST(Host, CountsFreeHugepages) {
  const std::filesystem::path root = scratch("huge");
  const auto pages = [&](const char* size, int total, int free) {
    std::filesystem::create_directories(root / size);
    std::ofstream(root / size / "nr_hugepages") << total;
    std::ofstream(root / size / "free_hugepages") << free;
  };
  EXPECT_EQ(check_hugepages(64, root).error().message,
            "this kernel has no hugepages (CONFIG_HUGETLBFS), which DPDK needs");
  pages("hugepages-2048kB", 100, 10);
  EXPECT_TRUE(check_hugepages(20, root));
  EXPECT_EQ(
      check_hugepages(64, root).error().message,
      "memory_mb = 64 needs 64 MB of hugepages, but 20 MB are free; reserve them: echo 122 > " +
          root.string() + "/hugepages-2048kB/nr_hugepages");
  pages("hugepages-1048576kB", 1, 1);
  EXPECT_TRUE(check_hugepages(1044, root));
  EXPECT_FALSE(check_hugepages(1045, root));
  std::filesystem::remove_all(root);
}

TEST(Host, SaysWhichRightsADeviceNeeds) {
  constexpr uint64_t none = 0, all = ~uint64_t{0};
  constexpr uint64_t admin = 1 << 12, raw = 1 << 13, sys_admin = 1 << 21, bpf = 1ull << 39;
  const auto error = [](const std::string& device, uint64_t effective) {
    const Status status = check_capabilities({"null", device}, effective);
    return status ? "" : status.error().message;
  };
  for (const char* device : {"null", "ring:a", "memif:/run/m.sock", "0000:3b:00.0"}) {
    EXPECT_EQ(error(device, none), "") << device;
  }
  EXPECT_EQ(error("af_xdp:eth0", none),
            "af_xdp:eth0 needs CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, which this process lacks; run "
            "as root or with it");
  EXPECT_EQ(error("af_packet:eth0", admin),
            "af_packet:eth0 needs CAP_NET_RAW, which this process lacks; run as root or with it");
  EXPECT_EQ(error("af_packet:eth0", admin | raw), "");
  EXPECT_EQ(error("af_xdp:eth0", admin | raw | bpf), "");
  EXPECT_EQ(error("af_xdp:eth0", admin | raw | sys_admin), "") << "it contains CAP_BPF";
  EXPECT_EQ(error("af_xdp:eth0", all), "");
}

TEST(PcapFile, CountsPackets) {
  const std::string path = scratch("count.pcap");
  const auto write = [&](std::initializer_list<uint32_t> words) {
    std::ofstream file(path, std::ios::binary);
    for (const uint32_t word : words) file.write(reinterpret_cast<const char*>(&word), 4);
  };
  write({0xa1b2c3d4, 0, 0, 0, 0, 1, /**/ 0, 0, 4, 4, 7, /**/ 0, 0, 0, 0});
  EXPECT_EQ(count_pcap_packets(path).value(), 2u);
  write({0x4d3cb2a1, 0, 0, 0, 0, 1, /**/ 0, 0, 0x08000000, 0, 7, 7});  // the other byte order, ns
  EXPECT_EQ(count_pcap_packets(path).value(), 1u);
  write({0xa1b2c3d4, 0, 0, 0, 0, 1, /**/ 0, 0, 4, 4, 7, /**/ 0, 0, 900, 900, 7});  // cut off
  EXPECT_EQ(count_pcap_packets(path).value(), 1u);
  write({0xa1b2c3d4, 0, 0, 0, 0, 1});
  EXPECT_EQ(count_pcap_packets(path).error().message, "the file has no packets");
  write({0x0a0d0d0a, 0, 0, 0, 0, 1});  // pcapng
  EXPECT_EQ(count_pcap_packets(path).error().message, "the file is not a pcap file");
  std::filesystem::remove(path);
}

RssState rss_state(unsigned slots, unsigned queues) {
  RssState state;
  state.present = true;
  state.key = rss_key;
  for (unsigned slot = 0; slot < slots; ++slot) {
    state.reta.push_back(static_cast<uint16_t>(reta_worker(slot, queues)));
  }
  return state;
}

TEST(Rss, AgreesOnlyWhenEveryHashMeetsItsWorker) {
  EXPECT_TRUE(rss_agrees(rss_state(128, 4), 4));
  EXPECT_TRUE(rss_agrees(rss_state(512, 3), 3));
  EXPECT_TRUE(rss_agrees(rss_state(128, 8), 4));   // two queues each
  EXPECT_TRUE(rss_agrees(rss_state(64, 4), 4));    // a short table that repeats
  EXPECT_FALSE(rss_agrees(rss_state(64, 3), 3));   // and one that does not
  EXPECT_FALSE(rss_agrees(rss_state(128, 2), 4));  // two workers get nothing
  EXPECT_TRUE(rss_agrees(RssState{}, 1));
  EXPECT_FALSE(rss_agrees(RssState{}, 2));
  RssState other_key = rss_state(128, 4);
  other_key.key[39] ^= 1;
  EXPECT_FALSE(rss_agrees(other_key, 4));
  RssState moved = rss_state(128, 4);
  moved.reta[77] = 0;
  EXPECT_FALSE(rss_agrees(moved, 4));
}

TEST(StderrCapture, HoldsLinesBack) {
  testing::internal::CaptureStderr();
  std::vector<std::string> lines;
  {
    StderrCapture capture;
    std::fputs("one\n\ntwo", stderr);
    lines = capture.stop();
    std::fputs("after", stderr);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "after");
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two"}));
}

TEST(StderrCaptureDeathTest, AnAbortPrintsWhatWasHeld) {
  EXPECT_DEATH(
      {
        const StderrCapture capture;
        std::fputs("the reason\n", stderr);
        std::abort();
      },
      "the reason");
}

TEST(WaitFds, FindsOnlyItsKind) {
  const WaitFds watch(FdKind::packet_socket);
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  EXPECT_TRUE(watch.opened().empty());
  close(pipes[0]);
  close(pipes[1]);
}

}  // namespace
}  // namespace sluice::nic

// libflow_source.so: brings FlowSource into programs that are not ours, testpmd and OVS-DPDK, as a
// DPDK plugin (EAL -d). $SLUICE_SOURCE holds the options; the source takes ethdevs 0 and 1 once
// both are started and then watches the phases, in a thread of its own.
#include <pthread.h>
#include <rte_ethdev.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "perf/flow_source.h"

namespace sluice::perf {
namespace {

bool is_started(uint16_t ethdev) {
  rte_eth_dev_info info{};
  if (rte_eth_dev_is_valid_port(ethdev) == 0 || rte_eth_dev_info_get(ethdev, &info) != 0) {
    return false;
  }
  rte_eth_link link{};
  return info.nb_rx_queues > 0 && rte_eth_link_get_nowait(ethdev, &link) == 0 &&
         link.link_status == RTE_ETH_LINK_UP;
}

void serve(const std::string& text) {
  const auto options = FlowSource::parse_options(text);
  if (!options) {
    std::fprintf(stderr, "%s\n", options.error().message.c_str());
    std::exit(2);
  }
  auto source = FlowSource::make(*options);
  if (!source) {
    std::fprintf(stderr, "%s\n", source.error().message.c_str());
    std::exit(1);
  }
  while (!is_started(0) || !is_started(1)) usleep(20'000);
  if (const Status attached = (*source)->attach(); !attached) {
    std::fprintf(stderr, "source: %s\n", attached.error().message.c_str());
    std::exit(1);
  }
  for (;;) {
    (*source)->poll_phase();
    usleep(5'000);
  }
}

[[gnu::constructor]] void load() {
  const char* text = std::getenv("SLUICE_SOURCE");
  if (text == nullptr) return;
  std::thread([options = std::string(text)] {
    pthread_setname_np(pthread_self(), "flow-source");
    serve(options);
  }).detach();
}

}  // namespace
}  // namespace sluice::perf

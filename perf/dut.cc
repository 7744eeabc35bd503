// dut: the device under test of perf/run. sluiced's own engine and worker on any two devices, with
// a generated snapshot, without the control plane around it. Answers commands on standard input
// with one JSON line each:
//   stats          counters now
//   swaps N HZ     publishes N prepared snapshots, HZ a second: delays until acknowledged
//   churn PHASE [FLOOD]   what the churn source does: pause, fill, churn or ping; FLOOD of 32
//                  packets of clients are SYNs that nobody answers
//   quit
// With --source the devices are null ports and FlowSource is on them; with --churn ChurnSource.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "dataplane/base/clock.h"
#include "dataplane/engine.h"
#include "nic/dpdk_port_set.h"
#include "perf/churn_source.h"
#include "perf/dut_snapshot.h"
#include "perf/dut_swaps.h"
#include "perf/flow_source.h"
#include "perf/line_server.h"

namespace sluice::perf {
namespace {

using Json = nlohmann::json;

struct DutOptions {
  std::vector<std::string> devices = {"null", "null"};
  std::vector<unsigned> cores = {1};
  unsigned main_core = 0;
  uint32_t memory_mb = 512;
  uint32_t flows_max = 1 << 20;
  DutNet net;
  dataplane::Idle idle = dataplane::Idle::busy;
  std::string source;
  std::string churn;
};

[[noreturn]] void die(const std::string& message) {
  std::cerr << "dut: " << message << std::endl;
  std::exit(1);
}

template <typename T>
T checked(Result<T> result) {
  if (!result) die(result.error().message);
  return std::move(*result);
}

void checked(const Status& status) {
  if (!status) die(status.error().message);
}

constexpr std::array<std::string_view, 4> churn_phase_names = {"pause", "fill", "churn", "ping"};

constexpr std::pair<const char*, Counter ChurnCounters::*> churn_counter_names[] = {
    {"live", &ChurnCounters::live},
    {"started", &ChurnCounters::started},
    {"opened", &ChurnCounters::opened},
    {"completed", &ChurnCounters::completed},
    {"failed", &ChurnCounters::failed},
    {"flooded", &ChurnCounters::flooded},
    {"flood_passed", &ChurnCounters::flood_passed},
    {"pings", &ChurnCounters::pings},
    {"pongs", &ChurnCounters::pongs},
    {"packets", &ChurnCounters::packets},
    {"seen", &ChurnCounters::seen},
    {"wrong", &ChurnCounters::wrong},
    {"late", &ChurnCounters::late},
    {"mixed", &ChurnCounters::mixed},
    {"resets", &ChurnCounters::resets},
    {"cycles", &ChurnCounters::cycles},
};

std::vector<uint64_t> snat_ports() {
  std::vector<uint64_t> set(1024, ~uint64_t{0});
  std::fill_n(set.begin(), 1024 / 64, 0);
  return set;
}

class Dut {
 public:
  explicit Dut(const DutOptions& options) : options_(options), snapshots_(options.net) {
    open_ports();
    dataplane::EngineOptions engine;
    engine.worker_lcores = lcores_;
    engine.flows_max = options_.flows_max;
    engine.idle = options_.idle;
    engine.snat_ports = snat_ports();
    engine_ = checked(dataplane::Engine::create(engine, *ports_));
    // Flows of a churn source show from the first snapshot on which one decided them.
    checked(engine_->start(churn_ ? snapshots_.next_marked() : snapshots_.next(50)));
    swaps_ = std::make_unique<SwapRun>(*engine_, snapshots_);
  }

  ~Dut() {
    engine_.reset();
    ports_->close();
    ports_.reset();
    nic::stop_eal();
  }

  /// Serves commands until the input ends.
  void serve() {
    std::cout << Json{{"ready", getpid()}} << std::endl;
    serve_lines(
        5,
        [this] {
          if (source_) source_->poll_phase();
          engine_->reclaim();
          drop_punts();
        },
        [this](const std::string& line) { return answer(line); });
  }

 private:
  void open_ports() {
    nic::EalOptions eal;
    eal.main_core = options_.main_core;
    eal.worker_cores = options_.cores;
    eal.memory_mb = options_.memory_mb;
    eal.program = "sluice-dut";
    eal.devices = options_.devices;
    eal.log = [](nic::LogLevel, std::string_view line) { std::cerr << line << '\n'; };
    lcores_ = checked(nic::start_eal(eal));
    std::vector<nic::PortOptions> ports;
    for (size_t i = 0; i < options_.devices.size(); ++i) {
      ports.push_back({"port" + std::to_string(i), options_.devices[i], 0});
    }
    ports_ = checked(nic::PortSet::open(ports, static_cast<unsigned>(lcores_.size())));
    if (!options_.churn.empty()) {
      calibrate_clock();
      churn_ = std::make_unique<ChurnSource>(checked(ChurnSource::parse_options(options_.churn)));
      const auto& queues = nic::dpdk_ports(*ports_).worker_ports(0).rx;
      std::array<uint16_t, 2> ethdevs{};
      for (const nic::RxQueue& queue : queues) ethdevs.at(queue.port) = queue.device.ethdev;
      checked(churn_->attach(ethdevs));
    }
    if (options_.source.empty()) return;
    SourceOptions source = checked(FlowSource::parse_options(options_.source));
    for (const nic::RxQueue& queue : nic::dpdk_ports(*ports_).worker_ports(0).rx) {
      source.ethdevs.at(queue.port) = queue.device.ethdev;
    }
    source_ = checked(FlowSource::make(source));
    checked(source_->attach());
  }

  void drop_punts() {
    dataplane::PuntFrame frame;
    while (engine_->punt_pop(frame)) engine_->punt_release(frame);
  }

  Json answer(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "stats") return stats();
    uint32_t count = 0, per_second = 0;
    if (verb == "swaps" && words >> count >> per_second && count > 0 && per_second > 0) {
      return swaps_->run(count, per_second);
    }
    std::string phase;
    if (verb == "churn" && churn_ && words >> phase) {
      const auto found = std::ranges::find(churn_phase_names, phase);
      if (found != churn_phase_names.end()) {
        uint32_t flood = 0;
        words >> flood;  // 0 when it is not there
        churn_->set_phase(static_cast<ChurnPhase>(found - churn_phase_names.begin()),
                          std::min(flood, 31u));
        return stats();
      }
    }
    return {{"error", "unknown command: " + line}};
  }

  Json stats() const {
    Json workers = Json::array();
    for (unsigned i = 0; i < engine_->worker_count(); ++i) {
      const auto& counters = engine_->counters(i);
      Json verdicts = Json::object();
      for (size_t v = 0; v < verdict_count; ++v) {
        const uint64_t packets = counters.verdicts[v].get();
        if (packets != 0) verdicts[std::string(verdict_names[v])] = packets;
      }
      workers.push_back(
          {{"rx", counters.rx_packets.get()},
           {"tx", counters.ports[0].tx_packets.get() + counters.ports[1].tx_packets.get()},
           {"flows", counters.flows_v4.get() + counters.flows_v6.get()},
           {"evicted", counters.flows_evicted.get()},
           {"busy_cycles", counters.busy_cycles.get()},
           {"idle_cycles", counters.idle_cycles.get()},
           {"verdicts", verdicts}});
    }
    return {{"workers", workers}, {"tsc_hz", cycles_per_second()}, {"churn", churn_stats()}};
  }

  Json churn_stats() const {
    if (!churn_) return nullptr;
    const ChurnCounters& counters = churn_->counters();
    Json counts = Json::object();
    for (const auto& [name, counter] : churn_counter_names)
      counts[name] = (counters.*counter).get();
    return counts;
  }

  DutOptions options_;
  DutSnapshots snapshots_;
  std::vector<unsigned> lcores_;
  std::unique_ptr<nic::PortSet> ports_;
  std::unique_ptr<FlowSource> source_;
  std::unique_ptr<ChurnSource> churn_;
  std::unique_ptr<dataplane::Engine> engine_;
  std::unique_ptr<SwapRun> swaps_;
};

}  // namespace
}  // namespace sluice::perf

int main(int argc, char** argv) {
  sluice::perf::DutOptions options;
  CLI::App app("sluiced's packet path as a device under test");
  std::string family = "4", protocol = "udp", idle = "busy";
  app.add_option("--device", options.devices, "two devices: clients, backends")->expected(2);
  app.add_option("--core", options.cores, "cores of the workers");
  app.add_option("--main-core", options.main_core);
  app.add_option("--memory-mb", options.memory_mb);
  app.add_option("--flows-max", options.flows_max, "per worker");
  app.add_option("--listeners", options.net.listeners)->check(CLI::Range(1, 8000));
  app.add_option("--backends", options.net.backends, "of each listener")
      ->check(CLI::Range(2, 1000));
  app.add_option("--family", family)->check(CLI::IsMember({"4", "6"}));
  app.add_option("--proto", protocol)->check(CLI::IsMember({"udp", "tcp"}));
  app.add_option("--idle", idle)->check(CLI::IsMember({"busy", "adaptive"}));
  app.add_option("--ending-ticks", options.net.ending_ticks, "timeout of ending flows, in 100 ms");
  auto* source = app.add_option("--source", options.source, "options of FlowSource");
  app.add_option("--churn", options.churn, "options of ChurnSource; one worker")->excludes(source);
  CLI11_PARSE(app, argc, argv);
  options.net.family = family == "4" ? sluice::Family::v4 : sluice::Family::v6;
  options.net.protocol = protocol == "udp" ? sluice::protocol_udp : sluice::protocol_tcp;
  if (idle == "adaptive") options.idle = sluice::dataplane::Idle::adaptive;
  sluice::perf::Dut dut(options);
  dut.serve();
  return 0;
}

// dut: the device under test of perf/run. sluiced's own engine and worker on any two devices, with
// a generated snapshot, without the control plane around it. Answers commands on standard input
// with one JSON line each:
//   stats          counters now
//   swaps N HZ     publishes N prepared snapshots, HZ a second: delays until acknowledged
//   quit
// With --source the devices are null ports and FlowSource is on them.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "dataplane/base/clock.h"
#include "dataplane/engine.h"
#include "nic/dpdk_port_set.h"
#include "perf/dut_snapshot.h"
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
    checked(engine_->start(snapshots_.next(50)));
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
    uint32_t count = 0, per_second = 0;
    words >> verb >> count >> per_second;
    if (verb == "stats") return stats();
    if (verb == "swaps" && count > 0 && per_second > 0) return swaps(count, per_second);
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
    return {{"workers", workers}, {"tsc_hz", cycles_per_second()}};
  }

  uint64_t slowest_acknowledgement_ns(uint64_t revision) const {
    uint64_t slowest = 0;
    for (unsigned i = 0; i < engine_->worker_count(); ++i) {
      const auto acknowledged = engine_->acknowledgement(i);
      if (acknowledged.revision < revision) return 0;
      slowest = std::max(slowest, acknowledged.at_ns);
    }
    return slowest;
  }

  /// Microseconds from publish() to the slowest worker's acknowledgement, one per swap.
  Json swaps(uint32_t count, uint32_t per_second) {
    std::vector<std::shared_ptr<const model::Snapshot>> prepared;
    std::vector<double> compile_us, delays_us;
    constexpr size_t prepared_ahead = 64;
    uint64_t due_ns = monotonic_ns_now();
    const uint64_t began_ns = due_ns;
    uint64_t late = 0, timeouts = 0;
    for (uint32_t i = 0; i < count; ++i) {
      if (prepared.empty()) {
        for (size_t n = 0; n < prepared_ahead; ++n) {
          const uint64_t begin = monotonic_ns_now();
          prepared.push_back(snapshots_.next(static_cast<uint32_t>(5 + n % 90)));
          compile_us.push_back(static_cast<double>(monotonic_ns_now() - begin) / 1e3);
        }
        std::ranges::reverse(prepared);
        due_ns = monotonic_ns_now();
      }
      due_ns += 1'000'000'000 / per_second;
      while (monotonic_ns_now() < due_ns) {
      }
      auto next = std::move(prepared.back());
      prepared.pop_back();
      const uint64_t revision = next->revision;
      const uint64_t published_ns = monotonic_ns_now();
      engine_->publish(std::move(next));
      uint64_t at_ns = 0;
      while ((at_ns = slowest_acknowledgement_ns(revision)) == 0) {
        if (monotonic_ns_now() > published_ns + 2'000'000'000) break;
      }
      timeouts += at_ns == 0;
      delays_us.push_back(at_ns > published_ns ? static_cast<double>(at_ns - published_ns) / 1e3
                                               : 0.0);
      engine_->reclaim();
      late += monotonic_ns_now() > due_ns + 1'000'000'000 / per_second;
    }
    const double seconds = static_cast<double>(monotonic_ns_now() - began_ns) / 1e9;
    return {{"delays_us", delays_us},
            {"prepare_us", compile_us},
            {"late", late},
            {"timeouts", timeouts},
            {"seconds", seconds}};
  }

  DutOptions options_;
  DutSnapshots snapshots_;
  std::vector<unsigned> lcores_;
  std::unique_ptr<nic::PortSet> ports_;
  std::unique_ptr<FlowSource> source_;
  std::unique_ptr<dataplane::Engine> engine_;
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
  app.add_option("--source", options.source, "options of FlowSource");
  CLI11_PARSE(app, argc, argv);
  options.net.family = family == "4" ? sluice::Family::v4 : sluice::Family::v6;
  options.net.protocol = protocol == "udp" ? sluice::protocol_udp : sluice::protocol_tcp;
  if (idle == "adaptive") options.idle = sluice::dataplane::Idle::adaptive;
  sluice::perf::Dut dut(options);
  dut.serve();
  return 0;
}

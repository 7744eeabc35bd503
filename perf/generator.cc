// generator: both ends of a network for a device under test, on a core of its own. Answers
// commands on standard input with one JSON line each:
//   open                 opens and answers every flow
//   trial PPS SECONDS [PATIENCE_SECONDS]
//                        packets of both directions at that rate (0: as fast as they are taken)
//   wake COUNT GAP_US    single packets with pauses between them
//   round_trip           time of a cache line to the device's core and back (the device is paused)
//   quit
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "dataplane/base/clock.h"
#include "perf/core_round_trip.h"
#include "perf/exchange.h"
#include "perf/line_server.h"

namespace sluice::perf {
namespace {

using Json = nlohmann::json;

struct GeneratorOptions {
  std::vector<std::string> devices;
  unsigned core = 0;
  unsigned device_core = 1;
  uint32_t memory_mb = 96;
  FlowPlan plan;
};

[[noreturn]] void die(const std::string& message) {
  std::cerr << "generator: " << message << std::endl;
  std::exit(1);
}

template <typename T>
T checked(Result<T> result) {
  if (!result) die(result.error().message);
  return std::move(*result);
}

Json described(const TrialResult& result) {
  Json wrong = Json::object();
  for (auto i = static_cast<size_t>(Arrival::foreign); i < arrival_names.size(); ++i) {
    if (result.arrivals[i] != 0) wrong[std::string(arrival_names[i])] = result.arrivals[i];
  }
  const Histogram& latency = result.latency_ns;
  return {{"seconds", result.seconds},
          {"sent", result.sent},
          {"refused", result.refused},
          {"skipped", result.skipped},
          {"bursts", result.bursts},
          {"blocked", result.blocked},
          {"received", result.received},
          {"late", result.arrivals[static_cast<size_t>(Arrival::late)]},
          {"wrong", wrong},
          {"longest_gap_ns", result.longest_gap_ns},
          {"latency_ns",
           {{"p50", latency.percentile(0.5)},
            {"p90", latency.percentile(0.9)},
            {"p99", latency.percentile(0.99)},
            {"p99.9", latency.percentile(0.999)},
            {"max", latency.max()}}}};
}

class Generator {
 public:
  explicit Generator(const GeneratorOptions& options) {
    nic::EalOptions eal;
    eal.main_core = options.core;
    // Its lcore there sleeps, except while the round trip is measured.
    eal.worker_cores = {options.device_core};
    eal.memory_mb = options.memory_mb;
    eal.program = "sluice-generator";
    eal.devices = options.devices;
    eal.log = [](nic::LogLevel, std::string_view line) { std::cerr << line << '\n'; };
    device_lcore_ = checked(nic::start_eal(eal)).front();
    calibrate_clock();
    std::vector<nic::PortOptions> ports;
    for (size_t i = 0; i < options.devices.size(); ++i) {
      ports.push_back({i == 0 ? "clients" : "backends", options.devices[i], 1});
    }
    ports_ = checked(nic::PortSet::open(ports, 1));
    exchange_ = checked(Exchange::make(options.plan, *ports_));
    seed_ = options.plan.seed;
  }

  ~Generator() {
    exchange_.reset();
    ports_->close();
    ports_.reset();
    nic::stop_eal();
  }

  void serve() {
    std::cout << Json{{"ready", getpid()}, {"seed", seed_}} << std::endl;
    serve_lines(-1, [] {}, [this](const std::string& line) { return answer(line); });
  }

 private:
  Json answer(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "open") return open();
    if (verb == "round_trip") return {{"ns", core_round_trips_ns(device_lcore_)}};
    double first = -1, second = -1, patience = 0;
    words >> first >> second >> patience;
    if (!open_) return {{"error", "the flows are not open"}};
    Trial trial{.packets_per_second = first, .seconds = second};
    if (patience > 0) trial.patience_seconds = patience;
    if (verb == "trial" && first >= 0 && second > 0) return described(exchange_->run(trial));
    if (verb == "wake" && first >= 1 && second >= 1) {
      return described(
          exchange_->wake(static_cast<uint32_t>(first), static_cast<uint32_t>(second)));
    }
    return {{"error", "unknown command: " + line}};
  }

  Json open() {
    const uint64_t began_ns = monotonic_ns_now();
    if (const Status status = exchange_->open(); !status) {
      return {{"error", status.error().message}};
    }
    open_ = true;
    return {{"seconds", static_cast<double>(monotonic_ns_now() - began_ns) * 1e-9}};
  }

  unsigned device_lcore_ = 0;
  std::unique_ptr<nic::PortSet> ports_;
  std::unique_ptr<Exchange> exchange_;
  uint64_t seed_ = 0;
  bool open_ = false;
};

}  // namespace
}  // namespace sluice::perf

int main(int argc, char** argv) {
  sluice::perf::GeneratorOptions options;
  sluice::perf::FlowPlan& plan = options.plan;
  CLI::App app("clients and backends of a device under test, as a packet generator that checks");
  std::string family = "4", protocol = "udp", bytes = "64";
  app.add_option("--device", options.devices, "two devices: clients, backends")
      ->expected(2)
      ->required();
  app.add_option("--core", options.core);
  app.add_option("--device-core", options.device_core, "core of the device under test");
  app.add_option("--memory-mb", options.memory_mb);
  app.add_option("--flows", plan.flows)->check(CLI::Range(1u, 1u << 27));
  app.add_option("--bytes", bytes, "of a frame without FCS, or imix");
  app.add_option("--family", family)->check(CLI::IsMember({"4", "6"}));
  app.add_option("--proto", protocol)->check(CLI::IsMember({"udp", "tcp"}));
  app.add_option("--listeners", plan.listeners)->check(CLI::Range(1, 8000));
  app.add_option("--zipf", plan.zipf, "exponent; 0: all flows alike")->check(CLI::Range(0.0, 10.0));
  app.add_option("--seed", plan.seed);
  CLI11_PARSE(app, argc, argv);
  plan.family = family == "4" ? sluice::Family::v4 : sluice::Family::v6;
  plan.protocol = protocol == "udp" ? sluice::protocol_udp : sluice::protocol_tcp;
  plan.payload_bytes_min = sluice::perf::ProbeFormat::payload_bytes(plan.protocol);
  const unsigned long number = bytes == "imix" ? 0 : std::strtoul(bytes.c_str(), nullptr, 10);
  if (bytes != "imix" && (number < 64 || number > sluice::perf::probe_frame_bytes_max)) {
    std::cerr << "generator: --bytes " << bytes << ": 64 to 1514, or imix" << std::endl;
    return 2;
  }
  plan.frame_bytes = static_cast<uint16_t>(number);
  sluice::perf::Generator generator(options);
  generator.serve();
  return 0;
}

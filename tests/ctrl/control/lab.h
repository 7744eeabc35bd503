// A controller with a fake engine and node around it, and the configuration it starts with.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "ctrl/control/controller.h"
#include "tests/ctrl/control/fake_engine.h"
#include "tests/ctrl/control/manual_loop.h"

namespace sluice::ctrl {

inline constexpr const char* orders_toml = R"(
[node]
name = "edge-test"
worker_cores = [1, 1]

[[port]]
name = "front"
device = "null"
addresses = ["10.0.0.2/24"]

[[pool]]
name = "orders-v1"
service = "orders"
version = "v1"
backends = [{ address = "10.0.1.11", port = 8080 }, { address = "10.0.1.12", port = 8080 }]

[[pool]]
name = "orders-v2"
service = "orders"
version = "v2"
backends = [{ address = "10.0.2.11", port = 8080 }]

[[listener]]
name = "orders"
protocol = "tcp"
address = "10.0.0.100"
port = 80

[[route]]
name = "orders"
listeners = ["orders"]
[[route.rule]]
backends = [{ pool = "orders-v1", weight = 100 }, { pool = "orders-v2", weight = 0 }]
)";

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/sluice-control-test-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class FakeNode : public Node {
 public:
  void serve(const Config& config, const std::set<IpAddress>& lingering) override {
    served.push_back(config);
    lingering_addresses = lingering;
    for (const PoolConfig& pool : config.pools) {
      for (const BackendConfig& backend : pool.backends) {
        hops[backend.address] = {.resolved = resolves, .port = 0, .destination = {}};
      }
    }
  }
  const std::map<IpAddress, model::NextHop>& next_hops() const override { return hops; }
  std::string describe_next_hop(const IpAddress&) const override { return "via tap-front"; }
  const std::set<BackendKey>& down() const override { return dead; }
  const std::map<BackendKey, uint8_t>& slow_starts() const override { return slow; }
  const HealthState* health(const BackendKey& backend) const override {
    const auto at = states.find(backend);
    return at == states.end() ? nullptr : &at->second;
  }
  std::optional<HealthReport> health_report(const BackendKey& backend) const override {
    const HealthState* state = health(backend);
    if (state == nullptr) return std::nullopt;
    HealthReport report;
    report.state = *state;
    report.last = {
        .ok = state->up, .latency_us = 1'500, .certificate_expires_s = 0, .text = "told"};
    return report;
  }
  ProberStats prober() const override { return {}; }
  void suspect(const BackendKey& backend, const std::string& reason) override {
    suspected.emplace_back(backend, reason);
  }

  std::vector<Config> served;
  std::set<IpAddress> lingering_addresses;
  std::map<IpAddress, model::NextHop> hops;
  std::set<BackendKey> dead;
  std::map<BackendKey, uint8_t> slow;
  std::vector<std::pair<BackendKey, std::string>> suspected;
  std::map<BackendKey, HealthState> states;
  bool resolves = true;
};

inline Endpoint endpoint(const char* text) { return parse_endpoint(text).value(); }

/// One life of a sluiced on a state directory.
class Life {
 public:
  explicit Life(const std::filesystem::path& directory, const std::string& text = orders_toml,
                unsigned workers = 2, std::function<uint64_t()> unix_ms = unix_ms_now)
      : engine(workers, [this] { return loop.now_ns(); }) {
    auto opened = StateStore::open(directory);
    if (!opened) {
      error = opened.error().message;
      return;
    }
    store.emplace(std::move(*opened));
    auto trail = AuditTrail::open(directory / "audit");
    if (!trail) {
      error = trail.error().message;
      return;
    }
    audit.emplace(std::move(*trail));
    ParseOutcome outcome = parse_config(text, "orders.toml");
    for (const ConfigError& mistake : outcome.errors) ADD_FAILURE() << to_string(mistake);
    StartContent start{.config = outcome.config,
                       .text = text,
                       .file = "orders.toml",
                       .ports = {model::Port{
                           .present = true, .mac = {}, .mtu = 1500, .snat_v4 = {}, .snat_v6 = {}}},
                       .decision_key = {}};
    auto made = Controller::create({.loop = loop,
                                    .engine = engine,
                                    .store = *store,
                                    .audit = *audit,
                                    .node = node,
                                    .events = events,
                                    .now_ns = [this] { return loop.now_ns(); },
                                    .unix_ms = std::move(unix_ms)},
                                   std::move(start));
    if (!made) {
      error = made.error().message;
      return;
    }
    controller = std::move(*made);
    events.subscribe(
        [this](const EventLine& line) { seen_events.push_back(Json::parse(*line)["params"]); });
    if (auto started = controller->start(); !started) error = started.error().message;
    loop.advance(std::chrono::milliseconds(50));
  }

  using Outcome = std::expected<ChangeResult, Refusal>;

  /// Makes a change and lets time pass until it is answered.
  Outcome make(std::expected<Change, Error> change, const ChangeOptions& options = {}) {
    std::optional<Outcome> answer;
    controller->change(std::move(change), options, [&](Outcome outcome) { answer = outcome; });
    return wait(answer, options.wait_ms);
  }
  Outcome rollback(std::optional<uint64_t> generation = {}, const ChangeOptions& options = {}) {
    std::optional<Outcome> answer;
    controller->rollback(generation, options, [&](Outcome outcome) { answer = outcome; });
    return wait(answer, options.wait_ms);
  }
  Outcome switch_to(const std::string& pool, const ChangeOptions& options = {}) {
    return make(switch_change(controller->content(), controller->config(), "orders", pool),
                options);
  }
  Outcome weight(const std::map<std::string, uint32_t>& weights,
                 const ChangeOptions& options = {}) {
    return make(weight_change(controller->content(), controller->config(), "orders", 0, weights),
                options);
  }
  Outcome drain(const std::string& target, bool undo = false, const ChangeOptions& options = {}) {
    return make(drain_change(controller->content(), controller->config(), target, undo), options);
  }
  Json verify(const std::string& route = "", uint64_t wait_ms = 1000) {
    Json proof;
    EXPECT_TRUE(controller->verify(route, wait_ms, [&](Proof answer) { proof = answer.json; }));
    loop.advance(std::chrono::milliseconds(wait_ms + 50));
    return proof;
  }

  std::vector<std::optional<Connection>> connect(unsigned count, unsigned worker = 0) {
    std::vector<std::optional<Connection>> connections;
    for (unsigned i = 0; i < count; i++) {
      connections.push_back(engine.connect(
          worker, {parse_ip("192.0.2.7").value(), static_cast<uint16_t>(next_port_++)},
          endpoint("10.0.0.100:80")));
    }
    return connections;
  }
  void end(const std::vector<std::optional<Connection>>& connections) {
    for (const auto& connection : connections) {
      if (connection) engine.end(*connection);
    }
  }

  ManualLoop loop;
  FakeEngine engine;
  FakeNode node;
  EventHub events;
  std::optional<StateStore> store;
  std::optional<AuditTrail> audit;
  std::unique_ptr<Controller> controller;
  std::vector<Json> seen_events;
  std::string error;

 private:
  Outcome wait(const std::optional<Outcome>& answer, uint64_t wait_ms) {
    for (uint64_t waited = 0; !answer && waited <= wait_ms + 100; waited++) {
      loop.advance(std::chrono::milliseconds(1));
    }
    if (answer) return *answer;
    ADD_FAILURE() << "no answer within wait_ms";
    return std::unexpected(Refusal{});
  }

  unsigned next_port_ = 10'000;
};

}  // namespace sluice::ctrl

// Good configurations: what each key becomes, the defaults, and every example in configs/.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "ctrl/config/config.h"

namespace sluice::ctrl {
namespace {

Config parse_good(std::string_view text) {
  const ParseOutcome outcome = parse_config(text, "good.toml");
  for (const ConfigError& error : outcome.errors) ADD_FAILURE() << to_string(error);
  return outcome.config;
}

std::string read_file(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

Config example(std::string_view name) {
  return parse_good(read_file(std::filesystem::path(SLUICE_SOURCE_ROOT "/configs") / name));
}

constexpr std::string_view only_port = "[[port]]\nname = 'p'\ndevice = 'null'\n";

TEST(GoodConfig, EveryExampleParses) {
  size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(SLUICE_SOURCE_ROOT "/configs")) {
    if (file.path().extension() != ".toml") continue;
    SCOPED_TRACE(file.path().filename());
    const Config config = parse_good(read_file(file.path()));
    EXPECT_FALSE(config.routes.empty());
    ++count;
  }
  EXPECT_GE(count, 5u);
}

TEST(GoodConfig, Defaults) {
  const Config config = parse_good(only_port);
  Config defaults;
  defaults.ports.push_back(
      {.name = "p", .device = "null", .addresses = {}, .snat_addresses = {}, .tap = "tap-p"});
  EXPECT_EQ(config, defaults);
}

TEST(GoodConfig, DefaultsOfPoolsListenersAndRoutes) {
  const Config config = example("minimal.toml");
  const PoolConfig& pool = config.pools.at(0);
  EXPECT_EQ(pool.service, "web");
  EXPECT_EQ(pool.version, "");
  EXPECT_EQ(pool.health, HealthConfig{});
  EXPECT_EQ(pool.on_empty, model::OnEmpty::reject);
  EXPECT_EQ(pool.backends.at(1).weight, 1u);
  EXPECT_EQ(pool.backends.at(1).tier, 0);
  EXPECT_FALSE(pool.backends.at(1).drained);
  const ListenerConfig& listener = config.listeners.at(0);
  EXPECT_EQ(listener.mode, model::Mode::nat);
  EXPECT_EQ(listener.port_first, 80);
  EXPECT_EQ(listener.port_last, 80);
  EXPECT_TRUE(config.routes.at(0).rules.at(0).sources.empty());
  EXPECT_EQ(config.routes.at(0).rules.at(0).backends.at(0).weight, 1u);
}

TEST(GoodConfig, Node) {
  const NodeConfig node = example("multi-worker.toml").node;
  EXPECT_EQ(node.name, "edge-7");
  EXPECT_EQ(node.main_core, 0u);
  EXPECT_EQ(node.worker_cores, (std::vector<unsigned>{2, 3, 4, 5}));
  EXPECT_EQ(node.idle, IdleMode::busy);
  EXPECT_EQ(node.memory_mb, 4096u);
  EXPECT_EQ(node.max_flows, 4'194'304u);
  ASSERT_TRUE(node.hash_key);
  EXPECT_EQ(node.hash_key->bytes[0], 0x6f);
  EXPECT_EQ(node.hash_key->bytes[15], 0xff);
}

TEST(GoodConfig, MoreWorkersThanCores) {
  const std::string text = "[node]\nworker_cores = [1, 1, 0, 1]\nidle = 'adaptive'\n";
  const NodeConfig node = parse_good(text + std::string(only_port)).node;
  EXPECT_EQ(node.worker_cores, (std::vector<unsigned>{1, 1, 0, 1}));
  EXPECT_EQ(node.idle, IdleMode::adaptive);
}

TEST(GoodConfig, Ports) {
  const Config config = example("multi-worker.toml");
  const PortConfig& front = config.ports.at(0);
  EXPECT_EQ(front.device, "0000:3b:00.0");
  EXPECT_EQ(front.queues, 4u);
  EXPECT_EQ(to_string(front.addresses.at(0)), "192.0.2.2/28");
  EXPECT_TRUE(front.snat_addresses.empty());
  EXPECT_EQ(front.tap, "tap-front");
  const PortConfig& back = config.ports.at(1);
  EXPECT_EQ(back.tap, "sluice-back");
  EXPECT_EQ(back.snat_addresses.size(), 5u);
  EXPECT_EQ(to_string(back.snat_addresses[4]), "fd00:20::1:1");
}

TEST(GoodConfig, ControlAdminAndTimeouts) {
  const Config config = example("multi-worker.toml");
  EXPECT_EQ(config.control.socket, "/run/sluice/control.sock");
  EXPECT_EQ(config.control.state_dir, "/var/lib/sluice");
  EXPECT_EQ(to_string(config.admin.listen.value()), "[::1]:9900");
  EXPECT_EQ(config.timeouts.tcp_syn, 50u);
  EXPECT_EQ(config.timeouts.tcp_established, 72'000u);
  EXPECT_EQ(config.timeouts.udp_new, 100u);
  EXPECT_EQ(config.timeouts.udp_established, 1'200u);
}

TEST(GoodConfig, TimeoutsAreRoundedUpToTicks) {
  const std::string text = "[timeouts]\ntcp_syn = '101ms'\ntcp_closed = '100ms'\n";
  const Config config = parse_good(text + std::string(only_port));
  EXPECT_EQ(config.timeouts.tcp_syn, 2u);
  EXPECT_EQ(config.timeouts.tcp_closed, 1u);
}

TEST(GoodConfig, Pools) {
  const Config config = example("failover-tiers.toml");
  const PoolConfig& pool = config.pools.at(0);
  EXPECT_EQ(pool.service, "database");
  EXPECT_EQ(pool.version, "16");
  EXPECT_EQ(pool.on_empty, model::OnEmpty::drop);
  EXPECT_EQ(pool.health, (HealthConfig{HealthType::tcp, 500, 250, 3, 2}));
  const BackendConfig& far = pool.backends.at(3);
  EXPECT_EQ(to_string(far.address), "10.9.0.11");
  EXPECT_EQ(far.port, 5432);
  EXPECT_EQ(far.tier, 2);
  EXPECT_EQ(far.zone, "far");
}

TEST(GoodConfig, AShortIntervalShortensTheDefaultTimeout) {
  const std::string text = R"([[pool]]
name = "p"
backends = [{ address = "10.0.0.9", port = 1 }]
health = { type = "tcp", interval = "200ms" }
)";
  EXPECT_EQ(parse_good(text + std::string(only_port)).pools.at(0).health.timeout_ms, 200u);
}

TEST(GoodConfig, RoutesAndRules) {
  const Config config = example("canary.toml");
  const RouteConfig& route = config.routes.at(0);
  EXPECT_EQ(route.listeners, std::vector<std::string>{"orders"});
  ASSERT_EQ(route.rules.size(), 2u);
  EXPECT_EQ(to_string(route.rules[0].sources.at(0)), "10.9.0.0/16");
  EXPECT_EQ(to_string(route.rules[0].sources.at(1)), "192.0.2.7/32");
  EXPECT_EQ(route.rules[1].backends,
            (std::vector<PoolRefConfig>{{"orders-v1", 95}, {"orders-v2", 5}}));
}

TEST(GoodConfig, ListenersOfTwoProtocolsAndARange) {
  const Config config = example("blue-green.toml");
  EXPECT_EQ(config.listeners.at(0).protocol, protocol_tcp);
  EXPECT_EQ(config.listeners.at(3).protocol, protocol_udp);
  EXPECT_EQ(config.listeners.at(3).address.family, Family::v6);
  const Config ranges = example("multi-worker.toml");
  EXPECT_EQ(ranges.listeners.at(0).port_first, 10'000);
  EXPECT_EQ(ranges.listeners.at(0).port_last, 10'999);
}

TEST(GoodConfig, RoutesMayShareAListenerWhileSomethingIsLeftOfIt) {
  const Config config = parse_good(R"([[port]]
name = "p"
device = "null"
addresses = ["10.0.0.2/24"]
[[pool]]
name = "web"
backends = [{ address = "10.0.0.9", port = 1 }]
[[listener]]
name = "web"
protocol = "tcp"
address = "10.0.0.100"
port = 80
[[listener]]
name = "unused"
protocol = "udp"
address = "10.0.0.100"
port = 80
[[route]]
name = "testers"
listeners = ["web"]
[[route.rule]]
matches = [{ source = "10.9.0.0/16" }]
backends = [{ pool = "web" }]
[[route]]
name = "all"
listeners = ["web"]
[[route.rule]]
backends = [{ pool = "web" }]
)");
  EXPECT_EQ(config.routes.size(), 2u);
  EXPECT_EQ(config.listeners.size(), 2u);
}

TEST(GoodConfig, ASnatAddressMayBeThePortsOwn) {
  const Config config = parse_good(R"([[port]]
name = "p"
device = "null"
addresses = ["10.0.0.2/24", "10.0.0.3/24"]
snat_addresses = ["10.0.0.3"]
)");
  EXPECT_EQ(config.ports.at(0).snat_addresses.size(), 1u);
}

TEST(GoodConfig, PortsWithoutADeviceOfTheMachineMayRepeat) {
  const std::string two =
      "[[port]]\nname = 'p'\ndevice = 'ring'\n[[port]]\nname = 'q'\ndevice = 'ring'\n";
  EXPECT_EQ(parse_good(two).ports.size(), 2u);
}

TEST(GoodConfig, WindowsLineEndsAndAByteOrderMark) {
  EXPECT_EQ(parse_good("\xef\xbb\xbf[[port]]\r\nname = 'p'\r\ndevice = 'null'\r\n").ports.size(),
            1u);
}

}  // namespace
}  // namespace sluice::ctrl

// The methods of the control socket, request to answer, as the CLI sees them.
#include "ctrl/control/methods.h"

#include <gtest/gtest.h>

#include "ctrl/control/metrics.h"
#include "tests/ctrl/control/lab.h"

namespace sluice::ctrl {
namespace {

using namespace std::chrono_literals;

class MethodsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(life_.error, "");
    nic::PortInfo port;
    port.name = "front";
    port.device = "null";
    identity_ = {.version = "9.9",
                 .started_ns = life_.loop.now_ns(),
                 .ports = {port},
                 .taps = {"tap-front"},
                 .device_stats = {}};
    handler_ = make_methods({*life_.controller, flows_, status_});
  }

  RpcResult ask(const std::string& method, const Json& params = Json::object()) {
    std::optional<RpcResult> answer;
    handler_({.id = 1, .notification = false, .method = method, .params = params},
             {.user = "alice", .uid = 0, .pid = 1},
             [&](RpcResult result) { answer = std::move(result); });
    for (int i = 0; i < 10'000 && !answer; i++) life_.loop.advance(1ms);
    if (!answer) ADD_FAILURE() << method << " was not answered";
    return answer.value_or(Json());
  }
  Json result(const std::string& method, const Json& params = Json::object()) {
    RpcResult answer = ask(method, params);
    if (!answer) ADD_FAILURE() << method << ": " << answer.error().message;
    return answer.value_or(Json());
  }
  RpcError error(const std::string& method, const Json& params = Json::object()) {
    RpcResult answer = ask(method, params);
    if (answer) ADD_FAILURE() << method << " was not refused";
    return answer ? RpcError{} : answer.error();
  }

  TemporaryDirectory directory_;
  Life life_{directory_.path()};
  FlowLister flows_{life_.loop, *life_.controller};
  Identity identity_;
  StatusSource status_{life_.loop, *life_.controller, identity_};
  RpcHandler handler_;
};

TEST_F(MethodsTest, StatusSaysWhatIsServed) {
  life_.connect(10);
  const Json status = result("status");
  EXPECT_EQ(status["name"], "edge-test");
  EXPECT_EQ(status["version"], "9.9");
  EXPECT_EQ(status["generation"], 1);
  ASSERT_EQ(status["workers"].size(), 2u);
  EXPECT_EQ(status["workers"][1]["generation"], 1);
  EXPECT_EQ(status["ports"][0]["tap"], "tap-front");
  EXPECT_EQ(status["listeners"][0]["port"], 80);
  EXPECT_EQ(status["listeners"][0]["routes"], Json::array({"orders"}));
  const Json pool = status["routes"][0]["rules"][0]["pools"][0];
  EXPECT_EQ(pool["pool"], "orders-v1");
  EXPECT_EQ(pool["share"], 1.0);
  EXPECT_EQ(pool["decisions"], 10);
  EXPECT_EQ(pool["active"], 10);
  EXPECT_EQ(status["pools"][0]["backends"][0]["state"], "unchecked");
  EXPECT_EQ(status["pools"][0]["usable"], 2);
  EXPECT_TRUE(status["verdicts"].contains("to_backend"));
}

TEST_F(MethodsTest, SwitchAnswersWithItsProof) {
  const Json answer =
      result("route.switch", {{"route", "orders"}, {"to", "orders-v2"}, {"reason", "release 2"}});
  EXPECT_EQ(answer["generation"], 2);
  EXPECT_EQ(answer["proof"]["verdict"], "proved");
  EXPECT_EQ(answer["proof"]["route"], "orders");
  EXPECT_EQ(answer["changes"].size(), 2u);
  const Json history = result("history")["generations"];
  ASSERT_EQ(history.size(), 2u);
  EXPECT_EQ(history[0]["generation"], 2);
  EXPECT_EQ(history[0]["author"], "alice");
  EXPECT_EQ(history[0]["uid"], 0);
  EXPECT_EQ(history[0]["verb"], "switch");
  EXPECT_EQ(history[0]["reason"], "release 2");
  EXPECT_EQ(history[0]["verdict"], "proved");
  EXPECT_EQ(history[1]["verb"], "start");
  EXPECT_EQ(result("history", {{"limit", 1}})["generations"].size(), 1u);
}

TEST_F(MethodsTest, ErrorsHaveTheirCodes) {
  EXPECT_EQ(error("no.such").code, rpc_no_method);
  EXPECT_EQ(error("route.switch", {{"route", "orders"}}).code, rpc_bad_params);
  EXPECT_EQ(error("route.switch", {{"route", "orders"}}).data["key"], "to");
  EXPECT_EQ(error("status", {{"verbose", true}}).code, rpc_bad_params);
  EXPECT_EQ(error("route.switch", {{"route", "orders"}, {"to", "x"}}).code, rpc_refused);
  EXPECT_EQ(
      error("route.switch", {{"route", "orders"}, {"to", "orders-v2"}, {"expect_generation", 5}})
          .code,
      rpc_conflict);
  EXPECT_EQ(error("verify", {{"route", "none"}}).message, "there is no route none");
  EXPECT_EQ(error("config.get", {{"kind", "thing"}}).message,
            "there is no kind thing; get node, port, pool, backend, listener, route or config");
  EXPECT_EQ(error("config.get", {{"kind", "pool"}, {"name", "x"}}).message, "there is no pool x");
}

TEST_F(MethodsTest, BadFileNamesEveryMistakeAndChangesNothing) {
  const Json params = {{"text", "[[pool]]\nname = 3\nsurprise = 1\n"}, {"file", "bad.toml"}};
  for (const char* method : {"config.apply", "config.diff"}) {
    const RpcError refused = error(method, params);
    EXPECT_EQ(refused.code, rpc_refused);
    ASSERT_GE(refused.data["errors"].size(), 2u);
    EXPECT_EQ(refused.data["errors"][0]["file"], "bad.toml");
    EXPECT_GT(refused.data["errors"][0]["line"].get<int>(), 0);
  }
  const Json check = result("config.check", params);
  EXPECT_EQ(check["valid"], false);
  EXPECT_GE(check["errors"].size(), 2u);
  EXPECT_EQ(result("config.check", {{"text", orders_toml}, {"file", "good.toml"}})["valid"], true);
  EXPECT_EQ(result("status")["generation"], 1);
}

TEST_F(MethodsTest, DiffAndDryRunChangeNothing) {
  std::string text = orders_toml;
  text.replace(text.find("weight = 0"), 10, "weight = 1");
  const Json diff = result("config.diff", {{"text", text}, {"file", "new.toml"}});
  EXPECT_EQ(diff["changes"].size(), 1u);
  EXPECT_EQ(diff["restart_required"], Json::array());
  const Json dry = result("config.apply", {{"text", text}, {"dry_run", true}});
  EXPECT_EQ(dry["dry_run"], true);
  EXPECT_EQ(dry["generation"], 1);
  EXPECT_EQ(dry["moved"][0]["route"], "orders");
  EXPECT_GT(dry["moved"][0]["slots_moved"].get<int>(), 0);
  EXPECT_EQ(result("status")["generation"], 1);
}

TEST_F(MethodsTest, GetShowsWhatOperatorsChanged) {
  result("route.weight", {{"route", "orders"}, {"weights", {{"orders-v2", 7}}}});
  result("pool.drain", {{"target", "10.0.1.12:8080"}});
  const Json route = result("config.get", {{"kind", "route"}, {"name", "orders"}})["items"][0];
  EXPECT_EQ(route["rules"][0]["backends"][1]["weight"], 7);
  const Json backends = result("config.get", {{"kind", "backend"}})["items"];
  EXPECT_EQ(backends[1]["name"], "10.0.1.12:8080");
  EXPECT_EQ(backends[1]["drained"], true);
  const Json config = result("config.get", {{"kind", "config"}});
  EXPECT_EQ(config["text"], orders_toml);
  EXPECT_EQ(config["generation"], 3);
  EXPECT_EQ(config["overlay"]["weights"]["orders"]["0"]["orders-v2"], 7);
  for (const char* kind : {"node", "port", "pool", "listener"}) {
    EXPECT_FALSE(result("config.get", {{"kind", kind}})["items"].empty()) << kind;
  }
}

TEST_F(MethodsTest, ExplainNamesWhatTheWorkersWouldChoose) {
  const Json explained =
      result("explain",
             {{"protocol", "tcp"}, {"source", "192.0.2.7:5555"}, {"destination", "10.0.0.100:80"}});
  const auto connection =
      life_.engine.connect(0, endpoint("192.0.2.7:5555"), endpoint("10.0.0.100:80"));
  ASSERT_TRUE(connection);
  const auto identity = life_.controller->registry().find_backend(connection->decision.backend);
  EXPECT_EQ(explained["backend"], to_string(identity->key.endpoint));
  EXPECT_EQ(explained["pool"], "orders-v1");
  EXPECT_EQ(explained["slot"], connection->decision.slot);
  EXPECT_EQ(explained["maglev_slot"], connection->decision.maglev_slot);
  EXPECT_EQ(explained["listener"], "orders");
  EXPECT_EQ(explained["verdict"], "to_backend");
  EXPECT_GE(explained["reason"].size(), 4u);
  const Json nowhere =
      result("explain",
             {{"protocol", "udp"}, {"source", "192.0.2.7:5555"}, {"destination", "10.0.0.100:80"}});
  EXPECT_TRUE(nowhere["listener"].is_null());
  EXPECT_EQ(nowhere["verdict"], "no_listener");
  EXPECT_EQ(
      error("explain",
            {{"protocol", "tcp"}, {"source", "[fd00::1]:1"}, {"destination", "10.0.0.100:80"}})
          .message,
      "source and destination must be of one address family");
  EXPECT_EQ(error("explain",
                  {{"protocol", "icmp"}, {"source", "1.2.3.4:1"}, {"destination", "10.0.0.100:80"}})
                .message,
            "protocol must be tcp or udp, not icmp");
}

TEST_F(MethodsTest, FlowsAreNamedAndFiltered) {
  const auto& registry = life_.controller->registry();
  dataplane::FlowInfo flow;
  flow.worker = 1;
  flow.protocol = protocol_tcp;
  flow.state = flow::FlowState::tcp_established;
  flow.client = endpoint("192.0.2.7:5555");
  flow.virtual_address = endpoint("10.0.0.100:80");
  flow.snat = endpoint("10.0.0.2:2000");
  flow.backend = endpoint("10.0.1.11:8080");
  flow.ref = registry.find_ref(RefKey{"orders", 0, "orders-v1"}).value();
  life_.engine.flows = dataplane::FlowPage{{flow}, 5};
  Json page = result("flows");
  EXPECT_EQ(page["next"], 5);
  ASSERT_EQ(page["flows"].size(), 1u);
  EXPECT_EQ(page["flows"][0]["client"], "192.0.2.7:5555");
  EXPECT_EQ(page["flows"][0]["pool"], "orders-v1");
  EXPECT_EQ(page["flows"][0]["state"], "established");
  result("flows", {{"pool", "orders-v1"}, {"backend", "10.0.1.11:8080"}, {"limit", 1'000'000}});
  EXPECT_EQ(life_.engine.queries.back().ref, flow.ref);
  EXPECT_GE(life_.engine.queries.back().backend, 0);
  EXPECT_EQ(life_.engine.queries.back().limit, flows_page_max);
  EXPECT_TRUE(result("flows", {{"pool", "orders-v2"}})["flows"].empty());
  EXPECT_EQ(error("flows", {{"pool", "x"}}).message, "there is no pool x");
  EXPECT_EQ(error("flows", {{"backend", "10.9.9.9:1"}}).message,
            "no pool has a backend 10.9.9.9:1");
  life_.engine.flows.reset();
  EXPECT_EQ(error("flows").message, "a worker did not answer within 2000 ms");
}

TEST_F(MethodsTest, EventsFollowAChange) {
  life_.seen_events.clear();
  result("route.switch", {{"route", "orders"}, {"to", "orders-v2"}});
  std::vector<std::string> types;
  for (const Json& event : life_.seen_events) types.push_back(event["type"]);
  EXPECT_EQ(types, (std::vector<std::string>{"generation", "acknowledged", "proof"}));
  EXPECT_EQ(life_.seen_events[0]["author"], "alice");
  EXPECT_EQ(life_.seen_events[2]["verdict"], "proved");
}

TEST_F(MethodsTest, MetricsComeFromTheCounters) {
  life_.connect(12);
  result("route.switch", {{"route", "orders"}, {"to", "orders-v2"}});
  const Metrics metrics({.controller = *life_.controller,
                         .identity = identity_,
                         .slow_path = {},
                         .control_clients = {}});
  const std::string text = metrics.text();
  for (const char* line :
       {"sluice_generation 2\n", "sluice_worker_generation{worker=\"1\"} 2\n",
        "sluice_connections_total{route=\"orders\",rule=\"0\",pool=\"orders-v1\","
        "service=\"orders\",version=\"v1\"} 12\n",
        "sluice_connections_active{route=\"orders\",rule=\"0\",pool=\"orders-v1\","
        "service=\"orders\",version=\"v1\"} 12\n",
        "sluice_packets_total{disposition=\"drop\",verdict=\"no_flow\"} 0\n",
        "sluice_backend_state{pool=\"orders-v1\",backend=\"10.0.1.11:8080\",state=\"unchecked\"} "
        "1\n",
        "sluice_proofs_total{verdict=\"proved\"} 2\n", "sluice_build_info{version=\"9.9\"} 1\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
}

TEST_F(MethodsTest, ReadyMeansEveryWorkerServesTheNewest) {
  EXPECT_TRUE(readiness(*life_.controller, identity_).first);
  life_.engine.hold(1);
  result("route.switch", {{"route", "orders"}, {"to", "orders-v2"}, {"wait_ms", 20}});
  EXPECT_EQ(readiness(*life_.controller, identity_),
            std::pair(false, std::string("worker 1 serves revision 1, 2 was published")));
  life_.engine.release(1);
  EXPECT_TRUE(readiness(*life_.controller, identity_).first);
  identity_.ports.clear();
  EXPECT_EQ(readiness(*life_.controller, identity_).second, "there is no port");
}

}  // namespace
}  // namespace sluice::ctrl

// The small pure parts: bounded JSON, lines, requests, parameters, SNAT ports.
#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "ctrl/control/bounded_json.h"
#include "ctrl/control/line_buffer.h"
#include "ctrl/control/params.h"
#include "ctrl/control/rpc.h"
#include "ctrl/control/snat_ports.h"

namespace sluice::ctrl {
namespace {

TEST(BoundedJsonTest, DepthIgnoresStrings) {
  EXPECT_EQ(json_depth("1"), 0u);
  EXPECT_EQ(json_depth("{}"), 1u);
  EXPECT_EQ(json_depth("[[1],{\"a\":[2]}]"), 3u);
  EXPECT_EQ(json_depth(R"(["[[[[\"[[[","\\"])"), 1u);
}

TEST(BoundedJsonTest, RefusesWhatIsTooMuch) {
  EXPECT_TRUE(parse_bounded(std::string(64, '[') + std::string(64, ']')));
  EXPECT_EQ(parse_bounded(std::string(65, '[') + std::string(65, ']')).error().message,
            "nested deeper than 64 levels");
  EXPECT_EQ(parse_bounded(std::string(1'000'000, '[')).error().message,
            "nested deeper than 64 levels");
  EXPECT_EQ(parse_bounded(std::string(json_bytes_max + 1, ' ')).error().message,
            "longer than 8388608 bytes");
  EXPECT_EQ(parse_bounded("{\"a\":\"\xff\"}").error().message, "not valid JSON");
  EXPECT_EQ(parse_bounded("").error().message, "not valid JSON");
}

TEST(BoundedJsonTest, LinesAreLinesWhateverTheBytes) {
  EXPECT_EQ(to_line("a\nb").find('\n'), std::string::npos);
  EXPECT_NO_THROW(to_line(std::string("\xff\xfe")));
}

TEST(LineBufferTest, CutsLinesHoweverTheyArrive) {
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  for (int round = 0; round < 200; round++) {
    std::vector<std::string> expected;
    std::string stream;
    for (unsigned i = 0; i < 20; i++) {
      expected.emplace_back(random() % 50, static_cast<char>('a' + i));
      stream += expected.back() + "\n";
    }
    LineBuffer buffer(64);
    std::vector<std::string> lines;
    for (size_t at = 0; at < stream.size();) {
      const size_t some = std::min<size_t>(random() % 40 + 1, stream.size() - at);
      EXPECT_TRUE(buffer.append(std::string_view(stream).substr(at, some)));
      at += some;
      if (random() % 2 == 0) continue;
      while (const auto line = buffer.next()) lines.emplace_back(*line);
      if (random() % 2 == 0) buffer.release();
    }
    while (const auto line = buffer.next()) lines.emplace_back(*line);
    EXPECT_EQ(lines, expected);
    buffer.release();
    EXPECT_EQ(buffer.bytes(), 0u);
  }
}

TEST(LineBufferTest, LongLineIsThrownAwayAndTheNextOneComes) {
  LineBuffer buffer(10);
  EXPECT_TRUE(buffer.append("good\n01234"));
  EXPECT_FALSE(buffer.append("5678901"));
  EXPECT_TRUE(buffer.append(std::string(1000, 'x')));
  EXPECT_LE(buffer.bytes(), 5u) << "nothing of the long line is kept";
  EXPECT_TRUE(buffer.append("tail\nnext\nrest"));
  EXPECT_EQ(buffer.next(), "good");
  EXPECT_EQ(buffer.next(), "next");
  EXPECT_FALSE(buffer.next());
  EXPECT_EQ(buffer.rest(), "rest");
}

int code_of(std::string_view line) {
  const auto request = parse_request(line);
  return request ? 0 : request.error().error.code;
}

TEST(RpcTest, SaysWhatIsWrongWithARequest) {
  EXPECT_EQ(code_of("garbage"), rpc_parse_error);
  EXPECT_EQ(code_of("{\"jsonrpc\":\"2.0\",\"method\":\"status\",\"id\":1"), rpc_parse_error);
  EXPECT_EQ(code_of("[]"), rpc_invalid_request);
  EXPECT_EQ(code_of("3"), rpc_invalid_request);
  EXPECT_EQ(code_of("{}"), rpc_invalid_request);
  EXPECT_EQ(code_of(R"({"jsonrpc":"1.0","method":"status","id":1})"), rpc_invalid_request);
  EXPECT_EQ(code_of(R"({"jsonrpc":"2.0","method":5,"id":1})"), rpc_invalid_request);
  EXPECT_EQ(code_of(R"({"jsonrpc":"2.0","method":"status","id":{}})"), rpc_invalid_request);
  EXPECT_EQ(code_of(R"({"jsonrpc":"2.0","method":"status","id":1,"params":[]})"), rpc_bad_params);
  EXPECT_EQ(code_of(R"({"jsonrpc":"2.0","method":"status","id":"a"})"), 0);
  EXPECT_TRUE(parse_request(R"({"jsonrpc":"2.0","method":"status"})")->notification);
}

TEST(ParamsTest, NamesTheFirstMistake) {
  const auto mistake = [](const Json& object, auto read) {
    Params params(object);
    read(params);
    const auto error = params.finish();
    return error ? error->message : std::string();
  };
  const auto options = [](Params& params) { params.change_options({}); };
  EXPECT_EQ(mistake({}, [](Params& params) { params.text("route"); }), "route is missing");
  EXPECT_EQ(mistake({{"route", 5}}, [](Params& params) { params.text("route"); }),
            "route must be a string");
  EXPECT_EQ(mistake({{"wait_ms", -1}}, options), "wait_ms must be an integer 0..3600000");
  EXPECT_EQ(mistake({{"wait_ms", 1.5}}, options), "wait_ms must be an integer 0..3600000");
  EXPECT_EQ(mistake({{"existing", "kill"}}, options),
            "existing must be \"keep\", \"drain\" or \"reset\"");
  EXPECT_EQ(mistake({{"reason", std::string(4097, 'x')}}, options),
            "reason must have at most 4096 bytes");
  EXPECT_EQ(mistake({{"dry_run", 1}}, options), "dry_run must be true or false");
  EXPECT_EQ(mistake({{"why", "x"}}, options), "why is not a parameter of this method");
  const auto weights = [](Params& params) { params.numbers("weights", 100); };
  EXPECT_EQ(mistake({{"weights", Json::object()}}, weights),
            "weights must be an object with at least one entry");
  EXPECT_EQ(mistake({{"weights", {{"a", 101}}}}, weights),
            "weights must hold integers 0..100, but a is 101");
  EXPECT_EQ(mistake({{"weights", {{"a", 100}}}}, weights), "");
}

bool has_port(const model::SnatPortSet& ports, unsigned port) {
  return (ports[port / 64] >> (port % 64) & 1) != 0;
}

TEST(SnatPortsTest, LeavesTheKernelItsOwn) {
  Config config;
  config.ports.push_back({});
  config.ports[0].addresses = {parse_prefix("10.0.0.2/24").value()};
  ListenerConfig own, virtual_one;
  own.address = parse_ip("10.0.0.2").value();
  own.port_first = 8000;
  own.port_last = 8010;
  virtual_one.address = parse_ip("10.0.0.100").value();
  virtual_one.port_first = 9000;
  virtual_one.port_last = 9000;
  config.listeners = {own, virtual_one};
  const auto ports = snat_ports(config, {32'768, 60'999}).value();
  for (const unsigned port : {0u, 1023u, 8000u, 8010u, 32'768u, 60'999u}) {
    EXPECT_FALSE(has_port(ports, port)) << port;
  }
  for (const unsigned port : {1024u, 7999u, 8011u, 9000u, 32'767u, 61'000u, 65'535u}) {
    EXPECT_TRUE(has_port(ports, port)) << port;
  }
  const auto none = snat_ports(config, {1024, 65'535});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message,
            "only 0 ports are left for SNAT beside the kernel's 1024..65535; narrow "
            "net.ipv4.ip_local_port_range or the listeners on the ports' own addresses");
}

TEST(SnatPortsTest, ReadsTheKernelsRange) {
  EXPECT_EQ(parse_port_range("32768\t60999\n").value(), PortRange(32'768, 60'999));
  for (const char* wrong : {"", "1", "a b", "9 8", "1 70000"}) {
    EXPECT_FALSE(parse_port_range(wrong)) << wrong;
  }
  EXPECT_TRUE(kernel_port_range());
}

}  // namespace
}  // namespace sluice::ctrl

// http_clients: HTTP clients against a lab's virtual address; prints JSON totals as its last line
// and writes one line per connection to --out:
//   new|kept ADDRESS PORT STACK BACKEND START_NS END_NS REQUESTS OUTCOME
// 10,000 connections, each from its own source port, 32 at a time:
//   http_clients --to 10.0.0.100 --port 80 --from 10.0.0.10 --first-port 20000 --count 10000
//   --parallel 32
// 20 seconds of load, 16 connections kept alive beside 8 one-request clients:
//   http_clients --to 10.0.0.100 --port 80 --from 10.0.0.10 --kept 16 --parallel 8 --seconds 20
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/e2e/tools/arguments.h"
#include "tests/e2e/tools/http_load.h"

namespace sluice::e2e {
namespace {

HttpLoadOptions options_from(const Arguments& arguments) {
  HttpLoadOptions options;
  options.to = make_address(arguments.text("to"), static_cast<uint16_t>(arguments.number("port")));
  options.path = arguments.text("path", "/");
  options.from = arguments.list("from");
  options.first_port = static_cast<uint16_t>(arguments.number("first-port", "0"));
  options.count = arguments.number("count", "0");
  options.parallel = static_cast<unsigned>(arguments.number("parallel", "0"));
  options.kept = static_cast<unsigned>(arguments.number("kept", "0"));
  options.pause_ns = arguments.number("pause-ms", "0") * 1'000'000u;
  options.patience_ns = arguments.number("patience-ms", "10000") * 1'000'000u;
  options.seconds = static_cast<double>(arguments.number("seconds", "0"));
  options.keep_records = arguments.number("keep-records", "1") != 0;
  options.progress_ns = arguments.number("progress-ms", "0") * 1'000'000u;
  if (options.from.empty()) arguments.fail("--from is empty");
  if (options.count == 0 && options.seconds == 0 && options.progress_ns == 0) {
    arguments.fail("give --count, --seconds or --progress-ms");
  }
  return options;
}

void write_records(const HttpLoad& load, const std::string& path) {
  std::ofstream file(path);
  for (const ConnectionRecord& record : load.records()) {
    file << (record.kept ? "kept " : "new ") << record.address << ' ' << record.port << ' '
         << record.stack << ' ' << record.backend << ' ' << record.start_ns << ' ' << record.end_ns
         << ' ' << record.requests << ' ' << outcome_name(record.outcome) << '\n';
  }
}

}  // namespace
}  // namespace sluice::e2e

int main(int argc, char** argv) {
  using namespace sluice::e2e;
  const Arguments arguments(argc, argv);
  raise_file_limit();
  HttpLoad load(options_from(arguments));
  load.run();
  write_records(load, arguments.text("out", "/dev/null"));
  std::map<std::string, uint64_t> outcomes;
  for (const ConnectionRecord& record : load.records()) {
    ++outcomes[std::string(outcome_name(record.outcome))];
  }
  const HttpTotals& totals = load.totals();
  const nlohmann::json report = {{"connections", totals.connections},
                                 {"requests", totals.requests},
                                 {"failed", totals.failed},
                                 {"resets", totals.resets},
                                 {"slow", totals.slow},
                                 {"mixed", totals.mixed},
                                 {"outcomes", outcomes},
                                 {"stacks", totals.stacks},
                                 {"backends", totals.backends}};
  std::printf("%s\n", report.dump().c_str());
}

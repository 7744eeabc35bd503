// Anything as a configuration: every mistake has a place and one printable line, in file order;
// what is accepted reads the same again, and has names that can be told apart.
#include <array>
#include <cstdlib>
#include <set>

#include "ctrl/config/config.h"
#include "ctrl/config/reader.h"
#include "tests/fuzz/expand.h"

namespace {

using sluice::ctrl::ParseOutcome;
using namespace std::string_view_literals;

// Stands in front of every other input: what follows it is then often good as a whole.
constexpr std::string_view base = R"(
[node]
name = "n"
worker_cores = [1]
[[port]]
name = "front"
device = "null"
addresses = ["10.0.0.2/24", "fd00::2/64"]
[[pool]]
name = "a"
backends = [{ address = "10.0.1.11", port = 80 }]
[[listener]]
name = "l"
protocol = "tcp"
address = "10.0.0.100"
port = 80
[[route]]
name = "r"
listeners = ["l"]
[[route.rule]]
matches = [{ source = "10.0.0.0/8" }]
backends = [{ pool = "a", weight = 95 }]
)";

constexpr std::array words = {
    "[[pool]]\nname = \"b\"\nservice = \"s\"\nversion = \"v2\"\n"sv,
    "[[pool]]\nname = \"c\"\n"sv,
    "backends = [{ address = \"10.0.1.11\", port = 80 }]\n"sv,
    "backends = [{ address = \"fd00::11\", port = 8, weight = 2, tier = 1, zone = \"z\" }]\n"sv,
    "health = { type = \"http\", path = \"/\", interval = \"1s\" }\n"sv,
    "[pool.health]\ntype = \"udp\"\nsend_hex = \"00 ff\"\nflap_hold = \"1s\"\n"sv,
    "passive = { failures = 3, window = \"2s\", eject = true }\n"sv,
    "on_empty = \"drop\"\n"sv,
    "panic = \"spread\"\npanic_below_percent = 50\n"sv,
    "[[listener]]\nname = \"m\"\nprotocol = \"udp\"\naddress = \"fd00::100\"\nport = 53\n"sv,
    "[[route]]\nname = \"q\"\nlisteners = [\"m\"]\n"sv,
    "[[route.rule]]\nbackends = [{ pool = \"a\", weight = 5 }, { pool = \"b\", weight = 5 }]\n"sv,
    "matches = [{ source = \"fd00::/8\" }]\n"sv,
    "[control]\nsocket = \"/run/s\"\nstate_dir = \"/var/s\"\n"sv,
    "[admin]\nlisten = \"127.0.0.1:9900\"\n"sv,
    "[timeouts]\n"sv,
    "tcp_syn = \"1s\"\n"sv,
    "# words \xc3\xa9\n"sv,
    "weight = "sv,
    "port = "sv,
    "[["sv,
    "]]"sv,
    "\n"sv,
    "{ "sv,
    " }"sv,
    "\"\"\""sv,
    "-9223372036854775808"sv,
    "1e400"sv,
    "1979-05-27T07:32:00Z"sv,
    "\xf0\x9f\x98\x80"sv,
    "a.b.c.d"sv};

void check(bool holds) {
  if (!holds) std::abort();
}

void check_errors(const ParseOutcome& outcome) {
  check(outcome.errors.size() <= sluice::ctrl::config_errors_max + 1);
  std::pair<uint32_t, uint32_t> last{0, 0};
  for (const auto& error : outcome.errors) {
    check(error.file == "f" && !error.message.empty());
    check((error.line == 0) == (error.column == 0));
    for (const unsigned char c : to_string(error)) check(c >= 0x20);
    if (error.line == 0) continue;
    check(last <= std::pair(error.line, error.column));
    last = {error.line, error.column};
  }
}

template <typename Items>
void check_names(const Items& items) {
  std::set<std::string_view> names;
  for (const auto& item : items) check(!item.name.empty() && names.insert(item.name).second);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  if (bytes == 0) return 0;
  std::string text = sluice::test::expand({data + 1, bytes - 1}, words, 1);
  if (data[0] % 8 != 0) text.insert(0, base);
  const ParseOutcome outcome = sluice::ctrl::parse_config(text, "f");
  check_errors(outcome);
  if (!outcome.errors.empty()) return 0;
  check(outcome.config == sluice::ctrl::parse_config(text + "\n# again\n", "f").config);
  check_names(outcome.config.ports);
  check_names(outcome.config.pools);
  check_names(outcome.config.listeners);
  check_names(outcome.config.routes);
  return 0;
}

#include <fmt/format.h>

#include <array>

#include "ctrl/config/draft.h"
#include "ctrl/config/values.h"

namespace sluice::ctrl {
namespace {

using namespace std::string_view_literals;

constexpr uint64_t core_max = 1023;
constexpr size_t workers_max = 64;
constexpr size_t path_bytes_max = 4095;
constexpr size_t socket_path_bytes_max = 107;  // sun_path holds 108 with the NUL
constexpr uint64_t tick_ms = 100;              // flow timers count in these (base/clock.h)
constexpr uint64_t timeout_ms_max = 7 * 86'400'000ull;

void read_worker_cores(const Value& value, std::vector<unsigned>& cores) {
  const auto items = value.items("cores", 1, workers_max);
  if (!items) return;
  cores.clear();
  for (const Value& item : *items) {
    if (const auto core = item.integer(0, core_max)) cores.push_back(*core);
  }
}

// Daemons change directory and clients start anywhere: only an absolute path means one file.
void read_path(const std::optional<Value>& value, size_t bytes_max, std::string& path) {
  if (!value) return;
  const auto text = value->text(bytes_max);
  if (!text) return;
  if (text->front() == '/') {
    path = *text;
  } else {
    value->reject_found("an absolute path");
  }
}

}  // namespace

void read_node(const Value& value, NodeConfig& node) {
  TableReader table(value);
  if (const auto name = table.optional("name")) {
    node.name = read_name(*name).value_or(node.name);
  }
  if (const auto core = table.optional("main_core")) {
    node.main_core = core->integer(0, core_max).value_or(0);
  }
  if (const auto cores = table.optional("worker_cores")) {
    read_worker_cores(*cores, node.worker_cores);
  }
  if (const auto idle = table.optional("idle")) {
    static constexpr std::array words = {"busy"sv, "adaptive"sv};
    if (const auto index = idle->choice(words)) node.idle = static_cast<IdleMode>(*index);
  }
  if (const auto memory = table.optional("memory_mb")) {
    node.memory_mb = memory->integer(64, 1'048'576).value_or(node.memory_mb);
  }
  if (const auto flows = table.optional("max_flows")) {
    node.max_flows = flows->integer(1'024, 67'108'864).value_or(node.max_flows);
  }
  if (const auto key = table.optional("hash_key")) node.hash_key = read_hash_key(*key);
  table.finish();
}

void read_control(const Value& value, ControlConfig& control) {
  TableReader table(value);
  read_path(table.optional("socket"), socket_path_bytes_max, control.socket);
  read_path(table.optional("state_dir"), path_bytes_max, control.state_dir);
  table.finish();
}

void read_admin(const Value& value, AdminConfig& admin) {
  TableReader table(value);
  if (const auto listen = table.optional("listen")) {
    const bool is_text = listen->node().kind == DocumentNode::Kind::string;
    const auto endpoint = parse_endpoint(is_text ? listen->node().text : "");
    if (endpoint && endpoint->port != 0) {
      admin.listen = *endpoint;
    } else {
      listen->reject_found("an address and port such as \"127.0.0.1:9900\" or \"[::1]:9900\"");
    }
  }
  table.finish();
}

void read_timeouts(const Value& value, model::Timeouts& timeouts) {
  TableReader table(value);
  const auto read = [&](std::string_view key, uint32_t& ticks) {
    const auto timeout = table.optional(key);
    if (!timeout) return;
    const auto ms = timeout->duration_ms(tick_ms, timeout_ms_max);
    if (ms) ticks = (*ms + tick_ms - 1) / tick_ms;  // never earlier than was asked for
  };
  read("tcp_syn", timeouts.tcp_syn);
  read("tcp_established", timeouts.tcp_established);
  read("tcp_closing", timeouts.tcp_closing);
  read("tcp_closed", timeouts.tcp_closed);
  read("udp_new", timeouts.udp_new);
  read("udp_established", timeouts.udp_established);
  table.finish();
}

}  // namespace sluice::ctrl

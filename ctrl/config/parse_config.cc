#include <fmt/format.h>

#include <exception>

#include "ctrl/config/config.h"
#include "ctrl/config/draft.h"
#include "ctrl/config/text.h"

namespace sluice::ctrl {
namespace {

constexpr size_t pools_max = 4'096;
constexpr size_t listeners_max = 16'384;
constexpr size_t routes_max = 4'096;
constexpr size_t govern_max = 256;  // roles, freezes, policies

using ReadSection = void (*)(const Value&, Draft&);

void read_tables(TableReader& root, std::string_view key, size_t max, Draft& draft,
                 ReadSection read) {
  const auto array = root.optional(key);
  if (!array) return;
  for (const Value& table : array->tables(0, max)) read(table, draft);
}

void read_sections(const Value& root, Draft& draft) {
  TableReader table(root);
  if (const auto node = table.optional("node")) read_node(*node, draft.config.node);
  if (const auto port = table.optional("port")) {
    for (const Value& each : port->tables(1, model::ports_max)) read_port(each, draft);
  } else {
    root.mistakes().add({}, "port", "at least one [[port]] is needed");
  }
  if (const auto control = table.optional("control")) read_control(*control, draft.config.control);
  if (const auto admin = table.optional("admin")) read_admin(*admin, draft.config.admin);
  if (const auto timeouts = table.optional("timeouts")) {
    read_timeouts(*timeouts, draft.config.timeouts);
    draft.govern.timeouts = timeouts;
  }
  read_tables(table, "pool", pools_max, draft, read_pool);
  read_tables(table, "listener", listeners_max, draft, read_listener);
  read_tables(table, "route", routes_max, draft, read_route);
  read_tables(table, "role", govern_max, draft, read_role);
  read_tables(table, "freeze", govern_max, draft, read_freeze);
  read_tables(table, "policy", govern_max, draft, read_policy);
  if (const auto approval = table.optional("approval")) {
    read_approval(*approval, draft.config.govern);
  }
  table.unsupported({"rollout", "certificate", "approver"});
  table.finish();
}

Config read_config(std::string_view text, Mistakes& mistakes) {
  const auto document = parse_document(text);
  if (!document) {
    mistakes.add(document.error().place, "", document.error().message);
    return {};
  }
  Draft draft;
  read_sections(Value(*document, "", mistakes), draft);
  check_ports(draft);
  check_pools(draft, mistakes);
  check_listeners(draft);
  check_routes(draft, mistakes);
  check_govern(draft);
  return std::move(draft.config);
}

}  // namespace

std::string to_string(const ConfigError& error) {
  std::string text = error.file;
  if (error.line != 0) text += fmt::format(":{}:{}", error.line, error.column);
  text += ": ";
  if (!error.key.empty()) text += error.key + ": ";
  return text + error.message;
}

ParseOutcome parse_config(std::string_view text, std::string_view file) {
  Mistakes mistakes{printable(file, 4096)};
  ParseOutcome outcome;
  try {
    outcome.config = read_config(text, mistakes);
  } catch (const std::exception& exception) {  // out of memory, above all
    mistakes.add({}, "", fmt::format("the file cannot be read: {}", exception.what()));
  }
  outcome.errors = mistakes.take();
  return outcome;
}

}  // namespace sluice::ctrl

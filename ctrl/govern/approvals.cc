#include "ctrl/govern/approvals.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::ctrl {
namespace {

using nlohmann::json;

constexpr size_t diff_lines_shown_max = 1000;

}  // namespace

Status Approvals::add(PendingChange change) {
  remove(change.id);
  if (changes_.size() >= pending_max) {
    return fail(
        fmt::format("{} changes wait for approval already; approve or reject some", pending_max));
  }
  changes_.push_back(std::move(change));
  return {};
}

const PendingChange* Approvals::find(const std::string& id) const {
  const auto at = std::ranges::find(changes_, id, &PendingChange::id);
  return at == changes_.end() ? nullptr : &*at;
}

void Approvals::remove(const std::string& id) {
  std::erase_if(changes_, [&](const PendingChange& change) { return change.id == id; });
}

std::vector<PendingChange> Approvals::take_expired(uint64_t unix_ms) {
  std::vector<PendingChange> expired;
  std::erase_if(changes_, [&](PendingChange& change) {
    if (unix_ms < change.expires_unix_ms) return false;
    expired.push_back(change);
    return true;
  });
  return expired;
}

json shown_json(const PendingChange& change) {
  json diff = json::array();
  for (const std::string& line : change.diff) {
    if (diff.size() < diff_lines_shown_max) diff.push_back(line);
  }
  return {{"id", change.id},
          {"diff_hash", change.hash},
          {"verb", change.method.substr(change.method.rfind('.') + 1)},
          {"author", change.author.user},
          {"uid", change.author.uid},
          {"reason", change.reason},
          {"changes", std::move(diff)},
          {"routes", change.routes},
          {"node_wide", change.node_wide},
          {"generation", change.generation},
          {"asked_at", format_time(change.asked_unix_ms)},
          {"expires_at", format_time(change.expires_unix_ms)}};
}

json to_json(const PendingChange& change) {
  return {{"id", change.id},
          {"hash", change.hash},
          {"method", change.method},
          {"params", change.params},
          {"user", change.author.user},
          {"uid", change.author.uid},
          {"gids", change.author.gids},
          {"reason", change.reason},
          {"diff", change.diff},
          {"routes", change.routes},
          {"node_wide", change.node_wide},
          {"generation", change.generation},
          {"asked_unix_ms", change.asked_unix_ms},
          {"expires_unix_ms", change.expires_unix_ms}};
}

PendingChange pending_from_json(const json& json) {
  PendingChange change;
  change.id = json.at("id").get<std::string>();
  change.hash = json.at("hash").get<std::string>();
  change.method = json.at("method").get<std::string>();
  change.params = json.at("params");
  change.author = {.user = json.at("user").get<std::string>(),
                   .uid = json.at("uid").get<uint32_t>(),
                   .gids = json.at("gids").get<std::vector<uint32_t>>()};
  change.reason = json.at("reason").get<std::string>();
  change.diff = json.at("diff").get<std::vector<std::string>>();
  change.routes = json.at("routes").get<std::set<std::string>>();
  change.node_wide = json.at("node_wide").get<bool>();
  change.generation = json.at("generation").get<uint64_t>();
  change.asked_unix_ms = json.at("asked_unix_ms").get<uint64_t>();
  change.expires_unix_ms = json.at("expires_unix_ms").get<uint64_t>();
  return change;
}

}  // namespace sluice::ctrl

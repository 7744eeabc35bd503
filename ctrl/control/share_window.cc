#include "ctrl/control/share_window.h"

#include <fmt/format.h>

#include <cmath>

namespace sluice::ctrl {
namespace {

constexpr size_t samples_max = 60;

std::string rule_key(const Json& pool) {
  return fmt::format("{}/{}", pool.at("route").get<std::string>(), pool.at("rule").get<uint32_t>());
}

Json z_score(uint64_t of_pool, uint64_t of_rule, double share) {
  const double n = double(of_rule), k = double(of_pool);
  const double deviation = std::sqrt(n * share * (1 - share));
  if (deviation > 0) return (k - n * share) / deviation;
  return k == n * share ? Json(0.0) : Json(nullptr);
}

}  // namespace

std::string window_key(const Json& pool) {
  return rule_key(pool) + "/" + pool.at("pool").get<std::string>();
}

void ShareWindow::add(uint64_t now_ns, Decisions decisions) {
  samples_.push_back({now_ns, std::move(decisions)});
  if (samples_.size() > samples_max) samples_.pop_front();
}

void ShareWindow::annotate(Json& proof, const std::map<std::string, uint16_t>& refs,
                           uint64_t now_ns, const Decisions& now) const {
  if (samples_.empty()) return;
  const Entry& base = samples_.front();
  const auto made = [&](const Json& pool) -> uint64_t {
    const auto ref = refs.find(window_key(pool));
    if (ref == refs.end()) return 0;
    const auto later = now.find(ref->second);
    const auto before = base.decisions.find(ref->second);
    if (later == now.end() || before == base.decisions.end()) return 0;
    return later->second > before->second ? later->second - before->second : 0;
  };
  std::map<std::string, uint64_t> of_rule;
  for (const Json& pool : proof.at("pools")) of_rule[rule_key(pool)] += made(pool);
  for (Json& pool : proof.at("pools")) {
    const uint64_t all = of_rule[rule_key(pool)];
    if (all == 0) continue;
    pool["window_ms"] = (now_ns - base.at_ns) / 1'000'000;
    pool["window_decisions"] = made(pool);
    pool["share_window"] = double(made(pool)) / double(all);
    pool["z"] = z_score(made(pool), all, pool.at("share").get<double>());
  }
}

}  // namespace sluice::ctrl

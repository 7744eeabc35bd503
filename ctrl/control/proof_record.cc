#include "ctrl/control/proof_record.h"

#include <algorithm>

namespace sluice::ctrl {
namespace {

const RefSample* find(const Sample& sample, uint16_t ref) {
  const auto at = sample.refs.find(ref);
  return at == sample.refs.end() ? nullptr : &at->second;
}

uint64_t decisions_after(const ProofPool& pool, const ProofEvidence& evidence, const Sample& now) {
  if (!evidence.at_acknowledge) return 0;
  const RefSample* later = find(now, pool.ref);
  const RefSample* base = find(*evidence.at_acknowledge, pool.ref);
  if (later == nullptr) return 0;
  const uint64_t before = base == nullptr ? 0 : base->decisions;
  return later->decisions > before ? later->decisions - before : 0;
}

double microseconds(uint64_t from_ns, uint64_t to_ns) {
  return to_ns > from_ns ? double(to_ns - from_ns) / 1000.0 : 0.0;
}

Json worker_record(const ProofPlan& plan, const WorkerEvidence& seen, const Sample& now,
                   size_t worker) {
  Json record = {{"worker", worker}, {"acknowledged", seen.acknowledged}, {"after_us", nullptr}};
  if (seen.acknowledged) record["after_us"] = microseconds(plan.published_ns, seen.at_ns);
  const bool known = worker < now.workers.size();
  record["generation"] = known ? now.workers[worker].generation : 0;
  record["revision"] = known ? now.workers[worker].revision : 0;
  return record;
}

Json pool_record(const ProofPlan& plan, const ProofEvidence& evidence, const Sample& now,
                 size_t index) {
  const ProofPool& pool = plan.pools[index];
  const RefSample* before = find(evidence.at_publish, pool.ref);
  const RefSample* later = find(now, pool.ref);
  uint64_t of_rule = 0;
  for (const ProofPool& other : plan.pools) {
    if (other.key.route == pool.key.route && other.key.rule == pool.key.rule) {
      of_rule += decisions_after(other, evidence, now);
    }
  }
  const uint64_t after = decisions_after(pool, evidence, now);
  const auto drained = evidence.pools_drained_at.find(index);
  const bool decided = later != nullptr && later->decisions > 0 && later->last_decision_ns > 0;
  return {
      {"route", pool.key.route},
      {"rule", pool.key.rule},
      {"pool", pool.key.pool},
      {"version", pool.version},
      {"weight", pool.weight},
      {"slots", pool.slots},
      {"share", double(pool.slots) / model::slot_count},
      {"decisions_before", before == nullptr ? 0 : before->decisions},
      {"decisions_after", after},
      {"share_after", of_rule == 0 ? Json(nullptr) : Json(double(after) / double(of_rule))},
      {"stale_decisions", stale_decisions(pool, evidence, now)},
      {"active", later == nullptr ? 0 : later->active()},
      {"last_decision_ago_ms",
       decided ? Json(microseconds(later->last_decision_ns, now.at_ns) / 1000.0) : Json(nullptr)},
      {"drained_at",
       drained == evidence.pools_drained_at.end() ? Json(nullptr) : Json(drained->second)}};
}

Json backend_record(const ProofPlan& plan, const ProofEvidence& evidence, const Sample& now,
                    size_t index) {
  const ProofBackend& backend = plan.backends[index];
  const auto later = now.backends.find(backend.id);
  const auto drained = evidence.backends_drained_at.find(index);
  return {{"pool", backend.key.pool},
          {"backend", to_string(backend.key.endpoint)},
          {"connections_after", connections_after(backend, evidence, now)},
          {"active", later == now.backends.end() ? 0 : later->second.active()},
          {"drained_at",
           drained == evidence.backends_drained_at.end() ? Json(nullptr) : Json(drained->second)}};
}

}  // namespace

uint64_t stale_decisions(const ProofPool& pool, const ProofEvidence& evidence, const Sample& now) {
  if (pool.closed_since == 0) return 0;
  const RefSample* later = find(now, pool.ref);
  if (later == nullptr) return 0;
  const auto by_new_table = std::ranges::count_if(
      later->last_revision, [&](uint64_t revision) { return revision >= pool.closed_since; });
  return std::max<uint64_t>(static_cast<uint64_t>(by_new_table),
                            decisions_after(pool, evidence, now));
}

uint64_t connections_after(const ProofBackend& backend, const ProofEvidence& evidence,
                           const Sample& now) {
  if (!evidence.at_acknowledge) return 0;
  const auto base = evidence.at_acknowledge->backends.find(backend.id);
  const auto later = now.backends.find(backend.id);
  if (base == evidence.at_acknowledge->backends.end() || later == now.backends.end()) return 0;
  const uint64_t before = base->second.connections;
  return later->second.connections > before ? later->second.connections - before : 0;
}

Json proof_record(const ProofPlan& plan, const ProofEvidence& evidence, const Sample& now,
                  ProofVerdict verdict, const std::string& reason) {
  Json workers = Json::array();
  Json slowest_us = evidence.at_acknowledge ? Json(0.0) : Json(nullptr);
  for (size_t worker = 0; worker < evidence.workers.size(); worker++) {
    const WorkerEvidence& seen = evidence.workers[worker];
    workers.push_back(worker_record(plan, seen, now, worker));
    if (!slowest_us.is_null()) {
      slowest_us = std::max(slowest_us.get<double>(), microseconds(plan.published_ns, seen.at_ns));
    }
  }
  Json pools = Json::array(), draining = Json::array();
  for (size_t i = 0; i < plan.pools.size(); i++) {
    pools.push_back(pool_record(plan, evidence, now, i));
    const ProofPool& pool = plan.pools[i];
    const uint64_t active = pools.back()["active"].get<uint64_t>();
    if (pool.closed_since == 0 || active == 0) continue;
    draining.push_back({{"route", pool.key.route},
                        {"rule", pool.key.rule},
                        {"pool", pool.key.pool},
                        {"active", active},
                        {"text", there_before(active, pool.key.pool)}});
  }
  Json backends = Json::array();
  for (size_t i = 0; i < plan.backends.size(); i++) {
    backends.push_back(backend_record(plan, evidence, now, i));
  }
  return {{"generation", plan.generation},
          {"revision", plan.revision},
          {"verb", plan.verb},
          {"route", plan.route.empty() ? Json(nullptr) : Json(plan.route)},
          {"verdict", to_string(verdict)},
          {"reason", reason},
          {"existing", to_string(plan.existing)},
          {"asked_at", plan.asked_at},
          {"published_at", plan.published_at},
          {"acknowledged_us", std::move(slowest_us)},
          {"workers", std::move(workers)},
          {"pools", std::move(pools)},
          {"backends", std::move(backends)},
          {"draining", std::move(draining)}};
}

}  // namespace sluice::ctrl

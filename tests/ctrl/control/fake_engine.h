// FakeEngine: workers without packets. They take up snapshots when the test lets them, decide by
// model::decide() on the snapshot they serve, and keep real counters.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/engine.h"
#include "dataplane/model/decide.h"
#include "dataplane/model/listener_index.h"

namespace sluice::ctrl {

struct Connection {
  unsigned worker = 0;
  model::Decision decision;
};

class FakeEngine : public dataplane::Engine {
 public:
  using SnapshotPointer = std::shared_ptr<const model::Snapshot>;

  FakeEngine(unsigned workers, std::function<uint64_t()> now_ns)
      : now_ns_(std::move(now_ns)), workers_(workers) {
    for (Worker& worker : workers_) worker.counters = std::make_unique<dataplane::WorkerCounters>();
  }

  Status start(SnapshotPointer first) override {
    publish(std::move(first));
    return {};
  }
  void stop() override {}
  void publish(SnapshotPointer next) override {
    published.push_back(next);
    for (unsigned i = 0; i < workers_.size(); i++) {
      if (!workers_[i].held) take_up(i);
    }
  }
  size_t reclaim() override { return 1; }

  dataplane::WorkerCounters& mutable_counters(unsigned worker) {
    return *workers_[worker].counters;
  }

  /// A held worker goes on with the snapshot that it serves.
  void hold(unsigned worker) { workers_[worker].held = true; }
  void release(unsigned worker) {
    workers_[worker].held = false;
    take_up(worker);
  }

  /// A new connection through `worker`: none when its snapshot refuses it.
  std::optional<Connection> connect(unsigned worker, const Endpoint& client,
                                    const Endpoint& listener) {
    return connect_by(*workers_[worker].serves, worker, client, listener);
  }
  /// The same, decided by a snapshot that the worker no longer serves.
  std::optional<Connection> connect_by(const model::Snapshot& snapshot, unsigned worker,
                                       const Endpoint& client, const Endpoint& listener) {
    const Tuple4 tuple{client.address.v4_raw(), listener.address.v4_raw(), swap16(client.port),
                       swap16(listener.port)};
    const int32_t found = snapshot.index->find(tuple, protocol_tcp);
    if (found == model::no_listener) return std::nullopt;
    const auto decision = model::decide(snapshot, snapshot.listeners[size_t(found)], tuple);
    dataplane::RefCounters& counters = workers_[worker].counters->refs[decision.ref];
    if (decision.verdict != Verdict::none) {
      counters.refused.add(1);
      return std::nullopt;
    }
    counters.decisions.add(1);
    counters.last_decision_ns.set(now_ns_());
    counters.last_decision_revision.set(snapshot.revision);
    workers_[worker].counters->backends[decision.backend].connections.add(1);
    return Connection{worker, decision};
  }
  void end(const Connection& connection) {
    dataplane::WorkerCounters& counters = *workers_[connection.worker].counters;
    counters.refs[connection.decision.ref].ended.add(1);
    counters.backends[connection.decision.backend].ended.add(1);
  }

  unsigned worker_count() const override { return static_cast<unsigned>(workers_.size()); }
  dataplane::Acknowledgement acknowledgement(unsigned worker) const override {
    return workers_[worker].acknowledged;
  }
  const dataplane::WorkerCounters& counters(unsigned worker) const override {
    return *workers_[worker].counters;
  }

  int punt_fd() const override { return -1; }
  bool arm_punt_fd() override { return true; }
  bool punt_pop(dataplane::PuntFrame&) override { return false; }
  void punt_release(dataplane::PuntFrame&) override {}
  bool inject(uint8_t, std::span<const uint8_t>) override { return false; }

  void list_flows(const dataplane::FlowQuery& query,
                  std::function<void(dataplane::FlowPage)> done) override {
    queries.push_back(query);
    listing_ = std::move(done);
  }
  void poll_replies() override {
    if (!listing_ || !flows) return;
    const auto done = std::exchange(listing_, nullptr);
    done(*flows);
  }

  std::vector<SnapshotPointer> published;
  std::vector<dataplane::FlowQuery> queries;
  std::optional<dataplane::FlowPage> flows;  // the answer; none: the workers stay silent

 private:
  struct Worker {
    std::unique_ptr<dataplane::WorkerCounters> counters;
    SnapshotPointer serves;
    dataplane::Acknowledgement acknowledged;
    bool held = false;
  };

  void take_up(unsigned worker) {
    Worker& into = workers_[worker];
    if (into.serves == published.back()) return;
    into.serves = published.back();
    into.acknowledged = {into.serves->revision, into.serves->generation, now_ns_()};
  }

  std::function<uint64_t()> now_ns_;
  std::vector<Worker> workers_;
  std::function<void(dataplane::FlowPage)> listing_;
};

}  // namespace sluice::ctrl

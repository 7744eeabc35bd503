#include "dataplane/engine.h"

#include <rte_launch.h>
#include <rte_lcore.h>
#include <sched.h>

#include <cstring>
#include <thread>

#include "dataplane/base/clock.h"
#include "dataplane/engine_impl.h"
#include "dataplane/mbuf_tag.h"

namespace sluice::dataplane {
namespace {

constexpr auto stop_patience = std::chrono::milliseconds(900);

int run_worker(void* worker) {
  static_cast<Worker*>(worker)->run();
  return 0;
}

/// True when the lcore may run on the same core as another one that does work.
bool shares_core(unsigned lcore, const std::vector<unsigned>& workers) {
  const rte_cpuset_t own = rte_lcore_cpuset(lcore);
  const auto overlaps = [&](unsigned other) {
    const rte_cpuset_t theirs = rte_lcore_cpuset(other);
    rte_cpuset_t both;
    CPU_AND(&both, &own, &theirs);
    return CPU_COUNT(&both) != 0;
  };
  if (overlaps(rte_get_main_lcore())) return true;
  for (const unsigned other : workers) {
    if (other != lcore && overlaps(other)) return true;
  }
  return false;
}

}  // namespace

EngineImpl::~EngineImpl() {
  stop();
  if (!hung_) return;
  // A worker that hangs may wake up one day: what it reads must still be there.
  static auto& kept = *new std::vector<std::unique_ptr<Shared>>;
  kept.push_back(std::move(shared_));
}

Status EngineImpl::allocate() {
  if (cycles_per_second() == 0) calibrate_clock();
  if (Status tag = register_mbuf_tag(); !tag) return tag;
  if (Status opened = shared_->ctrl.open(); !opened) return opened;
  const auto count = static_cast<unsigned>(options_.worker_lcores.size());
  if (Status made = shared_->snapshots.allocate(count); !made) return made;
  std::vector<int> sockets;
  for (unsigned number = 0; number < count; ++number) {
    auto worker = std::make_unique<EngineWorker>();
    worker->lcore = options_.worker_lcores[number];
    worker->socket = static_cast<int>(rte_lcore_to_socket_id(worker->lcore));
    sockets.push_back(worker->socket);
    if (Status made = worker->allocate(options_, shared_->owner, number); !made) return made;
    shared_->workers.push_back(std::move(worker));
  }
  auto handoff = RingMatrix::make("sl_handoff", sockets);
  if (!handoff) return std::unexpected(handoff.error());
  auto transmit = RingMatrix::make("sl_transmit", sockets);
  if (!transmit) return std::unexpected(transmit.error());
  shared_->handoff = std::move(*handoff);
  shared_->transmit = std::move(*transmit);
  for (unsigned number = 0; number < count; ++number) link(*shared_->workers[number], number);
  return {};
}

void EngineImpl::link(EngineWorker& worker, unsigned number) {
  WorkerLinks& links = worker.links;
  links.worker = static_cast<uint16_t>(number);
  links.workers = static_cast<uint16_t>(worker_count());
  links.idle = options_.idle;
  links.shares_core = shares_core(worker.lcore, options_.worker_lcores);
  links.ports = &ports_.worker_ports(number);
  links.snapshots = &shared_->snapshots.slot();
  links.qsbr = shared_->snapshots.qsbr();
  links.handoff = &shared_->handoff;
  links.transmit = &shared_->transmit;
  links.punt = worker.punt.get();
  links.inject = worker.inject.get();
  links.commands = worker.commands.get();
  links.answers = worker.answers.get();
  for (const auto& each : shared_->workers) links.sleepers.push_back(&each->sleeper);
  links.ctrl = &shared_->ctrl;
  links.acknowledgement = &worker.acknowledgement;
  worker.state = std::make_unique<WorkerState>(WorkerState{
      .worker = links.worker,
      .owner = shared_->owner,
      .connections_v4 = *worker.v4.connections,
      .connections_v6 = *worker.v6.connections,
      .snat_ports_v4 = *worker.v4.snat_ports,
      .snat_ports_v6 = *worker.v6.snat_ports,
      .counters = *worker.counters,
      .reply_source = {},
  });
}

Status EngineImpl::start(std::shared_ptr<const model::Snapshot> first) {
  SLUICE_ASSERT(!running_ && first != nullptr && first->index != nullptr);
  shared_->snapshots.publish(std::move(first));
  running_ = true;
  for (auto& worker : shared_->workers) {
    worker->worker = std::make_unique<Worker>(worker->links, *worker->state);
    const int launched = rte_eal_remote_launch(run_worker, worker->worker.get(), worker->lcore);
    if (launched == 0) continue;
    worker->worker.reset();
    stop();
    return fail("cannot start a worker on lcore " + std::to_string(worker->lcore) + ": " +
                std::strerror(-launched));
  }
  return {};
}

bool EngineImpl::wait_for(const EngineWorker& worker,
                          std::chrono::steady_clock::time_point deadline) {
  while (rte_eal_get_lcore_state(worker.lcore) != WAIT) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return rte_eal_wait_lcore(worker.lcore) == 0;
}

void EngineImpl::stop() {
  if (!running_) return;
  running_ = false;
  for (auto& worker : shared_->workers) {
    if (worker->worker == nullptr) continue;
    worker->worker->request_stop();
    worker->sleeper.wake();
  }
  const auto deadline = std::chrono::steady_clock::now() + stop_patience;
  for (auto& worker : shared_->workers) {
    if (worker->worker == nullptr) continue;
    if (wait_for(*worker, deadline)) {
      worker->worker.reset();
    } else {
      hung_ = true;
    }
  }
  if (!hung_) drain();
}

/// Gives back the frames in the rings and forgets the listings.
void EngineImpl::drain() {
  for (unsigned from = 0; from < worker_count(); ++from) {
    for (unsigned to = 0; to < worker_count(); ++to) {
      drain_frames(shared_->handoff.at(from, to));
      drain_frames(shared_->transmit.at(from, to));
    }
    drain_frames(shared_->workers[from]->punt.get());
    drain_frames(shared_->workers[from]->inject.get());
  }
  shared_->listings.clear();
  shared_->snapshots.reclaim();
}

void EngineImpl::publish(std::shared_ptr<const model::Snapshot> next) {
  shared_->snapshots.publish(std::move(next));
  for (auto& worker : shared_->workers) worker->sleeper.wake();
}

Result<std::unique_ptr<Engine>> Engine::create(const EngineOptions& options, nic::PortSet& ports) {
  SLUICE_ASSERT(!options.worker_lcores.empty());
  auto engine = std::make_unique<EngineImpl>(options, nic::dpdk_ports(ports));
  if (Status allocated = engine->allocate(); !allocated) {
    return std::unexpected(allocated.error());
  }
  return engine;
}

}  // namespace sluice::dataplane

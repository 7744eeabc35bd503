// PipelineRig: the pipelines of any number of workers on the heap, with vectors where the engine
// has rings. What one worker hands on is worked on by its owner before deliver() returns, so a
// test sees the end of every packet: verdict, bytes, egress, who handled it, and the replies.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <vector>

#include "dataplane/base/clock.h"
#include "dataplane/pipeline.h"
#include "dataplane/upkeep.h"
#include "tests/dataplane/wire/packet_builder.h"

namespace sluice::test {

/// A frame that arrives: at which port, and through which worker's queue.
struct Arrival {
  Bytes bytes;
  uint8_t port = 0;
  uint8_t flags = 0;
};

/// What became of one packet.
struct Outcome {
  Verdict verdict = Verdict::none;
  unsigned worker = 0;  // that gave the verdict
  bool handed_on = false;
  uint8_t egress = 0;  // of forwarded packets
  Bytes bytes;         // as it leaves
};

struct SentReply {
  uint8_t port = 0;
  Bytes bytes;
};

inline std::vector<uint64_t> ports_from(uint32_t first, uint32_t last) {
  std::vector<uint64_t> set(1024);
  for (uint32_t port = first; port <= last; ++port) set[port / 64] |= uint64_t{1} << port % 64;
  return set;
}

class PipelineRig {
 public:
  struct Options {
    unsigned workers = 1;
    uint32_t flows_max = 4096;
    std::vector<uint64_t> snat_ports = ports_from(1024, 32'767);
    uint64_t seed = 1;
  };

  explicit PipelineRig(std::shared_ptr<const model::Snapshot> snapshot)
      : PipelineRig(std::move(snapshot), Options()) {}

  PipelineRig(std::shared_ptr<const model::Snapshot> snapshot, const Options& options)
      : toeplitz_(wire::microsoft_rss_key), owner_(toeplitz_, options.workers) {
    for (unsigned i = 0; i < options.workers; ++i) {
      workers_.push_back(std::make_unique<Worker>(*this, i, options, *snapshot));
    }
    publish(std::move(snapshot));
  }

  /// From the next burst on.
  void publish(std::shared_ptr<const model::Snapshot> snapshot) {
    snapshot_ = std::move(snapshot);
    for (auto& worker : workers_) worker->upkeep.take_up(*snapshot_, worker->state);
  }

  /// Runs up to 32 packets as one burst of `worker`. Outcomes by packet number.
  std::vector<Outcome> deliver(unsigned worker, std::vector<Arrival> arrivals) {
    std::vector<Outcome> outcomes(arrivals.size());
    frames_ = std::move(arrivals);
    forward::Burst& burst = workers_[worker]->burst;
    burst.clear();
    for (size_t i = 0; i < frames_.size(); ++i) burst.add(frame(i));
    workers_[worker]->state.counters.rx_packets.add(burst.size);
    run(worker, outcomes);
    for (unsigned i = 0; i < workers_.size(); ++i) {
      forward::Burst& handed = workers_[i]->burst;
      handed.clear();
      handed.handed_in = true;
      for (const size_t packet : workers_[i]->handed) handed.add(frame(packet));
      if (handed.size == 0) continue;
      run(i, outcomes);
      workers_[i]->handed.clear();
    }
    for (size_t i = 0; i < frames_.size(); ++i) outcomes[i].bytes = std::move(frames_[i].bytes);
    return outcomes;
  }

  Outcome deliver_one(const Bytes& bytes, uint8_t port = 0, unsigned worker = 0) {
    return deliver(worker, {Arrival{bytes, port, 0}})[0];
  }

  /// Upkeep of every worker until nothing is left over.
  void upkeep() {
    for (auto& worker : workers_) {
      while (worker->upkeep.step(*snapshot_, worker->state, tick())) {
      }
    }
  }

  void pass_time_ms(uint64_t ms) { now_ns_ += ms * 1'000'000; }
  uint32_t tick() const { return static_cast<uint32_t>(now_ns_ / tick_ns); }
  uint64_t now_ns() const { return now_ns_; }

  /// Replies since the last call, oldest first.
  std::vector<SentReply> take_replies() { return std::exchange(replies_, {}); }

  unsigned size() const { return static_cast<unsigned>(workers_.size()); }
  const flow::Owner& owner() const { return owner_; }
  dataplane::WorkerState& state(unsigned worker = 0) { return workers_[worker]->state; }
  dataplane::Upkeep& upkeep_of(unsigned worker = 0) { return workers_[worker]->upkeep; }
  forward::Burst& burst(unsigned worker = 0) { return workers_[worker]->burst; }
  dataplane::WorkerCounters& counters(unsigned worker = 0) {
    return workers_[worker]->state.counters;
  }

  /// rx == forward + punt + drop over all workers: nothing lost, nothing counted twice.
  bool conserves() const {
    uint64_t received = 0, decided = 0;
    for (const auto& worker : workers_) {
      received += worker->counters->rx_packets.get();
      for (size_t i = 1; i < verdict_count; ++i) decided += worker->counters->verdicts[i].get();
    }
    return received == decided;
  }

  uint64_t verdicts(Verdict verdict) const {
    uint64_t sum = 0;
    for (const auto& worker : workers_) {
      sum += worker->counters->verdicts[static_cast<size_t>(verdict)].get();
    }
    return sum;
  }

 private:
  struct FreeDeleter {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  using Memory = std::unique_ptr<std::byte, FreeDeleter>;

  static Memory allocate(size_t bytes) {
    return Memory(static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)));
  }

  static HashKey table_key(uint64_t seed) {
    HashKey key;
    store(key.bytes.data(), seed * 0x9e37'79b9'7f4a'7c15u);
    return key;
  }

  /// One family's tables of one worker.
  template <typename Tuple>
  struct Tables {
    Memory memory;
    flow::Connections<Tuple> connections;
    flow::PortAllocator<Tuple> ports;

    Tables(const PipelineRig& rig, unsigned worker, const Options& options,
           const model::Snapshot& snapshot)
        : memory(allocate(flow::Connections<Tuple>::memory_bytes(options.flows_max))),
          connections({memory.get(), flow::Connections<Tuple>::memory_bytes(options.flows_max)},
                      options.flows_max, table_key(options.seed), snapshot.timeouts, rig.tick()),
          ports(rig.owner_, worker, options.snat_ports, options.seed) {}
  };

  struct Worker {
    std::unique_ptr<dataplane::WorkerCounters> counters =
        std::make_unique<dataplane::WorkerCounters>();
    Tables<Tuple4> v4;
    Tables<Tuple6> v6;
    dataplane::WorkerState state;
    dataplane::Upkeep upkeep;
    forward::Burst burst;
    std::vector<size_t> handed;  // numbers of packets that wait for this worker

    Worker(PipelineRig& rig, unsigned worker, const Options& options,
           const model::Snapshot& snapshot)
        : v4(rig, worker, options, snapshot),
          v6(rig, worker, options, snapshot),
          state{static_cast<uint16_t>(worker),
                rig.owner_,
                v4.connections,
                v6.connections,
                v4.ports,
                v6.ports,
                *counters,
                {&rig, take_frame}} {}
  };

  static bool take_frame(void* context, forward::Frame& frame) {
    auto* rig = static_cast<PipelineRig*>(context);
    if (rig->replies_lent_ == rig->reply_buffers_.size()) {
      rig->reply_buffers_.emplace_back(wire::reply_bytes_max);
    }
    frame.data = rig->reply_buffers_[rig->replies_lent_++].data();
    frame.capacity = static_cast<uint16_t>(wire::reply_bytes_max);
    return true;
  }

  forward::Frame frame(size_t packet) {
    forward::Frame made;
    made.data = frames_[packet].bytes.data();
    made.length = static_cast<uint16_t>(frames_[packet].bytes.size());
    made.port = frames_[packet].port;
    made.flags = frames_[packet].flags;
    made.handle = reinterpret_cast<void*>(packet);
    return made;
  }

  void run(unsigned worker, std::vector<Outcome>& outcomes) {
    forward::Burst& burst = workers_[worker]->burst;
    dataplane::WorkerState& state = workers_[worker]->state;
    burst.now_ns = now_ns_;
    burst.now_tick = tick();
    dataplane::run_pipeline(burst, *snapshot_, state);
    dataplane::account(burst, state);
    for (uint32_t i = 0; i < burst.size; ++i) {
      const auto packet = reinterpret_cast<size_t>(burst.frames[i].handle);
      if (burst.is_handed_on(i)) {
        workers_[burst.owners[i]]->handed.push_back(packet);
        outcomes[packet].handed_on = true;
        state.counters.handoff_out.add(1);
        continue;
      }
      outcomes[packet].verdict = burst.verdicts[i];
      outcomes[packet].worker = worker;
      outcomes[packet].egress = burst.egress[i];
    }
    for (uint32_t i = 0; i < burst.reply_count; ++i) {
      const forward::Frame& reply = burst.replies[i];
      replies_.push_back({reply.port, Bytes(reply.data, reply.data + reply.length)});
    }
    replies_lent_ = 0;
  }

  wire::Toeplitz toeplitz_;
  flow::Owner owner_;
  std::shared_ptr<const model::Snapshot> snapshot_;
  uint64_t now_ns_ = 1'000 * tick_ns;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Arrival> frames_;
  std::deque<Bytes> reply_buffers_;  // lent to the pipeline for one burst
  size_t replies_lent_ = 0;
  std::vector<SentReply> replies_;
};

}  // namespace sluice::test

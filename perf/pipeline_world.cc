#include "perf/pipeline_world.h"

#include <bit>
#include <cstdlib>
#include <cstring>

#include "dataplane/pipeline.h"
#include "dataplane/wire/checksum.h"
#include "dataplane/wire/headers.h"
#include "tests/dataplane/pipeline_rig.h"

namespace sluice::perf {
namespace {

constexpr uint32_t v6_flows_max = 64;
constexpr uint32_t batch = forward::burst_packets_max;
constexpr unsigned backends = 100;

HashKey random_key(std::mt19937_64& random) {
  HashKey key;
  store(key.bytes.data(), random());
  store(key.bytes.data() + 8, random());
  return key;
}

/// Two pools of 50 backends behind one UDP listener, 16 SNAT addresses: room for 1 M flows.
std::shared_ptr<const model::Snapshot> make_snapshot() {
  test::SnapshotBuilder net;
  std::vector<uint16_t> blue, green;
  for (unsigned i = 0; i < backends; ++i) {
    auto& pool = i % 2 == 0 ? blue : green;
    pool.push_back(net.add_backend("10.0.1." + std::to_string(11 + i) + ":53"));
  }
  const uint32_t blue_pool = net.add_pool("blue", blue);
  const uint32_t green_pool = net.add_pool("green", green);
  net.add_listener(protocol_udp, "10.0.0.100:53", {{blue_pool, 95}, {green_pool, 5}});
  net.snapshot.ports[1].snat_v4.clear();
  for (unsigned i = 0; i < 16; ++i) {
    const std::string address = "10.0.2." + std::to_string(1 + i) + ":1";
    net.snapshot.ports[1].snat_v4.push_back(test::endpoint(address).address.v4_raw());
  }
  return net.finish();
}

std::byte* allocate(size_t bytes) {
  return static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
}

uint32_t now_tick() { return static_cast<uint32_t>(monotonic_ns_now() / tick_ns); }

}  // namespace

World::World(uint32_t flows)
    : snapshot_(make_snapshot()),
      random_(1),
      toeplitz_(wire::microsoft_rss_key),
      owner_(toeplitz_, 1),
      memory_(Connections4::memory_bytes(std::bit_ceil(flows + 1))),
      memory_v6_(allocate(Connections6::memory_bytes(v6_flows_max)), [](void* p) { std::free(p); }),
      v4_(memory_.span(), std::bit_ceil(flows + 1), random_key(random_), snapshot_->timeouts,
          now_tick()),
      v6_({memory_v6_.get(), Connections6::memory_bytes(v6_flows_max)}, v6_flows_max,
          random_key(random_), snapshot_->timeouts, now_tick()),
      ports_v4_(std::make_unique<flow::PortAllocator<Tuple4>>(
          owner_, 0, test::ports_from(1024, 65'535), random_())),
      ports_v6_(std::make_unique<flow::PortAllocator<Tuple6>>(
          owner_, 0, test::ports_from(1024, 65'535), random_())),
      counters_(std::make_unique<dataplane::WorkerCounters>()),
      state_{.worker = 0,
             .owner = owner_,
             .connections_v4 = v4_,
             .connections_v6 = v6_,
             .snat_ports_v4 = *ports_v4_,
             .snat_ports_v6 = *ports_v6_,
             .counters = *counters_,
             .reply_source = {}} {
  SLUICE_ASSERT(memory_.valid());
  open_flows(flows);
}

Tuple4 World::random_client() {
  Tuple4 tuple;
  // 11.x.x.x: a source that parse() accepts.
  tuple.source = 11 | (static_cast<uint32_t>(random_()) & ~0xffu);
  tuple.source_port = static_cast<uint16_t>(random_());
  tuple.destination = snapshot_->listeners[0].address.v4_raw();
  tuple.destination_port = swap16(53);
  return tuple;
}

void World::start_burst() {
  burst_.clear();
  burst_.now_ns = monotonic_ns_now();
  burst_.now_tick = static_cast<uint32_t>(burst_.now_ns / tick_ns);
}

void World::write_frame(uint32_t packet, const Tuple4& tuple, uint8_t port) {
  namespace ipv4 = wire::ipv4;
  auto& frame = frames_[packet];
  uint8_t* ip = frame.data() + wire::ethernet_header_bytes;
  std::memcpy(frame.data(), test::front_mac.bytes.data(), 6);
  std::memcpy(frame.data() + 6, test::client_mac.bytes.data(), 6);
  store_be16(frame.data() + wire::ethernet::type, wire::ethernet::type_ipv4);
  store_be16(ip, 0x4500);
  store_be16(ip + ipv4::total_bytes, frame.size() - wire::ethernet_header_bytes);
  ip[ipv4::ttl] = 64;
  ip[ipv4::protocol] = protocol_udp;
  store(ip + ipv4::checksum, uint16_t{0});
  store(ip + ipv4::source, tuple.source);
  store(ip + ipv4::destination, tuple.destination);
  store(ip + ipv4::checksum, wire::finish_checksum(wire::sum_bytes({ip, ipv4::header_bytes})));
  uint8_t* udp = ip + ipv4::header_bytes;
  store(udp + wire::udp::source_port, tuple.source_port);
  store(udp + wire::udp::destination_port, tuple.destination_port);
  store_be16(udp + wire::udp::length, 30);
  store_be16(udp + wire::udp::checksum, 0x1234);
  burst_.add({.data = frame.data(), .length = 64, .port = port});
  ++made_;
}

void World::open_flows(uint32_t flows) {
  flows_.reserve(flows);
  while (flows_.size() < flows) {
    start_burst();
    std::array<Tuple4, batch> clients;
    for (uint32_t i = 0; i < batch; ++i) {
      clients[i] = random_client();
      write_frame(i, clients[i], 0);
    }
    StopWatch watch;
    dataplane::run_pipeline(burst_, *snapshot_, state_);
    dataplane::account(burst_, state_);
    open_cost_.add(watch.lap(), batch);
    for (uint32_t i = 0; i < batch; ++i) {
      SLUICE_ASSERT(burst_.verdicts[i] == Verdict::to_backend);
      const auto& record = v4_[burst_.matches[i].index];
      flows_.push_back({record.from_client, record.from_backend});
    }
  }
}

forward::Burst& World::next_burst() {
  start_burst();
  for (uint32_t i = 0; i < batch; ++i) {
    const uint64_t draw = random_();
    const FlowTuples& flow = flows_[(draw >> 32) * flows_.size() >> 32];
    const bool from_client = (draw & 1) != 0;
    write_frame(i, from_client ? flow.from_client : flow.from_backend, from_client ? 0 : 1);
  }
  return burst_;
}

void World::check() const {
  const auto count = [&](Verdict verdict) {
    return counters_->verdicts[static_cast<size_t>(verdict)].get();
  };
  SLUICE_ASSERT(count(Verdict::to_backend) + count(Verdict::to_client) == made_);
}

}  // namespace sluice::perf

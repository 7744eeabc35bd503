#include "perf/pipeline_world.h"

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "dataplane/model/listener_index.h"
#include "dataplane/model/maglev.h"
#include "dataplane/model/slot_table.h"
#include "dataplane/pipeline.h"
#include "dataplane/wire/checksum.h"
#include "dataplane/wire/headers.h"

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

constexpr MacAddress our_mac{{0x02, 0, 0, 0, 0, 0x01}};
constexpr MacAddress client_mac{{0x02, 0, 0, 0, 0, 0x02}};
constexpr MacAddress backend_mac{{0x02, 0, 0, 0, 0, 0x12}};
constexpr uint16_t dns_port = 53;

/// a.b.c.d, raw.
uint32_t ipv4(unsigned a, unsigned b, unsigned c, unsigned d) {
  return a | b << 8 | c << 16 | d << 24;
}

Endpoint backend_endpoint(unsigned number) {
  return {IpAddress::from_v4_raw(ipv4(10, 0, 1, 11 + number)), dns_port};
}

/// Every other backend from `first` on.
model::Pool make_pool(std::string name, unsigned first) {
  std::vector<model::MaglevMember> members;
  for (unsigned i = first; i < backends; i += 2) {
    members.push_back({static_cast<uint16_t>(i), backend_endpoint(i), 1});
  }
  return {.name = std::move(name), .backends = model::build_maglev(members)};
}

model::Port make_port(unsigned snat_addresses) {
  model::Port port{.present = true, .mac = our_mac, .mtu = 1500, .snat_v4 = {}, .snat_v6 = {}};
  for (unsigned i = 0; i < snat_addresses; ++i) port.snat_v4.push_back(ipv4(10, 0, 2, 1 + i));
  return port;
}

/// Two pools of 50 backends behind one UDP listener, 16 SNAT addresses: room for 8 M flows.
std::shared_ptr<const model::Snapshot> make_snapshot() {
  auto snapshot = std::make_shared<model::Snapshot>();
  snapshot->revision = 1;
  for (unsigned i = 0; i < backends; ++i) {
    snapshot->backends.push_back({.present = true,
                                  .in_config = true,
                                  .incarnation = 1,
                                  .endpoint = backend_endpoint(i),
                                  .next_hop = {true, 1, backend_mac}});
  }
  snapshot->pools = {make_pool("blue", 0), make_pool("green", 1)};
  const std::array<model::WeightedPool, 2> weighted = {{{"blue", 95}, {"green", 5}}};
  model::Rule rule;
  rule.pools = {{.pool = 0, .weight = 95, .ref = 0}, {.pool = 1, .weight = 5, .ref = 1}};
  rule.slots = model::build_slot_table(weighted);
  snapshot->routes = {{.name = "dns", .rules = {rule}}};
  snapshot->listeners = {{.name = "dns",
                          .protocol = protocol_udp,
                          .address = IpAddress::from_v4_raw(ipv4(10, 0, 0, 100)),
                          .port_first = dns_port,
                          .port_last = dns_port,
                          .routes = {0}}};
  snapshot->ports[0] = make_port(0);
  snapshot->ports[1] = make_port(16);
  snapshot->index = model::ListenerIndex::build(snapshot->listeners);
  return snapshot;
}

/// Every port above 1023.
model::SnatPortSet snat_ports() {
  model::SnatPortSet set(1024, ~uint64_t{0});
  std::fill_n(set.begin(), 1024 / 64, 0);
  return set;
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
      ports_v4_(std::make_unique<flow::PortAllocator<Tuple4>>(owner_, 0, snat_ports(), random_())),
      ports_v6_(std::make_unique<flow::PortAllocator<Tuple6>>(owner_, 0, snat_ports(), random_())),
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
  tuple.destination_port = swap16(dns_port);
  return tuple;
}

void World::start_burst() {
  burst_.clear();
  burst_.now_ns = monotonic_ns_now();
  burst_.now_tick = static_cast<uint32_t>(burst_.now_ns / tick_ns);
}

void World::write_frame(uint32_t packet, const Tuple4& tuple, uint8_t port) {
  namespace header = wire::ipv4;
  auto& frame = frames_[packet];
  uint8_t* ip = frame.data() + wire::ethernet_header_bytes;
  std::memcpy(frame.data(), our_mac.bytes.data(), 6);
  std::memcpy(frame.data() + 6, client_mac.bytes.data(), 6);
  store_be16(frame.data() + wire::ethernet::type, wire::ethernet::type_ipv4);
  store_be16(ip, 0x4500);
  store_be16(ip + header::total_bytes, frame.size() - wire::ethernet_header_bytes);
  ip[header::ttl] = 64;
  ip[header::protocol] = protocol_udp;
  store(ip + header::checksum, uint16_t{0});
  store(ip + header::source, tuple.source);
  store(ip + header::destination, tuple.destination);
  store(ip + header::checksum, wire::finish_checksum(wire::sum_bytes({ip, header::header_bytes})));
  uint8_t* udp = ip + header::header_bytes;
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
    answer_last(batch);
  }
}

/// The first answer establishes a flow and moves its timer: not a cost of packets that follow.
void World::answer_last(uint32_t count) {
  start_burst();
  for (uint32_t i = 0; i < count; ++i)
    write_frame(i, flows_[flows_.size() - 1 - i].from_backend, 1);
  dataplane::run_pipeline(burst_, *snapshot_, state_);
  dataplane::account(burst_, state_);
}

forward::Burst& World::next_burst() {
  start_burst();
  for (uint32_t i = 0; i < batch; ++i) {
    const uint64_t draw = random_();
    const FlowTuples& flow = flows_[(draw >> 32) * flows_.size() >> 32];
    const bool from_client = (draw & 1) != 0;
    write_frame(i, from_client ? flow.from_client : flow.from_backend, from_client ? 0 : 1);
  }
  _mm_lfence();  // what the choice of flows still waits for is not the pipeline's time
  return burst_;
}

void World::check() const {
  const auto count = [&](Verdict verdict) {
    return counters_->verdicts[static_cast<size_t>(verdict)].get();
  };
  SLUICE_ASSERT(count(Verdict::to_backend) + count(Verdict::to_client) == made_);
}

}  // namespace sluice::perf

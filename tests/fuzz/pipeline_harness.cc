#include "tests/fuzz/pipeline_harness.h"

#include <algorithm>

#include "dataplane/base/assert.h"
#include "dataplane/flow_counts.h"

namespace sluice::test {
namespace {

constexpr size_t sent_max = 8;
constexpr uint32_t flows_max = 32;
constexpr unsigned refs_used = 8;

/// Other TCP flags; of UDP packets it is payload.
void set_tcp_flags(Bytes& frame, size_t l4, uint8_t flags) {
  if (frame.size() > l4 + 13) frame[l4 + 13] = flags;
}

/// Puts the IPv4 header checksum right, so that what lies behind it is reached.
void fix_ipv4_checksum(Bytes& frame) {
  if (frame.size() < 34 || get16(frame, 12) != 0x0800) return;
  const size_t header_bytes = (frame[14] & 15) * size_t{4};
  if (header_bytes < 20 || 14 + header_bytes > frame.size()) return;
  set16(frame, 24, 0);
  set16(frame, 24, static_cast<uint16_t>(~naive_sum(std::span(frame).subspan(14, header_bytes))));
}

template <typename Tuple>
void close_all(dataplane::WorkerState& state) {
  auto& connections = state.connections<Tuple>();
  connections.scan(0, flows_max, [&](uint32_t index, const flow::FlowRecord<Tuple>&) {
    dataplane::close_flow(state.counters, connections, index);
  });
  SLUICE_ASSERT(connections.size() == 0);
}

}  // namespace

/// The bytes of an input, one after the other; zeros behind its end.
class PipelineHarness::Input {
 public:
  explicit Input(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  uint8_t byte() {
    if (bytes_.empty()) return 0;
    const uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::span<const uint8_t> take(size_t count) {
    const auto taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const uint8_t> bytes_;
};

PipelineHarness::PipelineHarness() {
  make_variants();
  make_templates();
  sent_.resize(sent_max);
  rig_ = std::make_unique<PipelineRig>(
      variants_[0],
      PipelineRig::Options{
          .workers = 2, .flows_max = flows_max, .snat_ports = ports_from(1024, 1151)});
}

/// What ctrl may publish one after the other: full and empty pools, gone and unresolved backends,
/// ports without addresses, another mapping of ids, resets, short timeouts, no listener at all.
void PipelineHarness::make_variants() {
  const auto keep = [&](SnapshotBuilder net) {
    variants_.push_back(std::make_shared<model::Snapshot>(*net.finish()));
  };
  const SnapshotBuilder plain = plain_net();
  keep(plain);
  SnapshotBuilder net = plain;
  net.set_members(0, {});
  net.set_members(1, {3});
  keep(net);
  net.snapshot.pools[0].on_empty = model::OnEmpty::drop;
  net.snapshot.backends[0].present = false;
  net.snapshot.backends[2].incarnation = 9;
  keep(net);
  net = plain;
  for (model::Backend& backend : net.snapshot.backends) backend.next_hop.resolved = false;
  net.snapshot.timeouts = {1, 20, 2, 1, 2, 5};
  keep(net);
  net = plain;
  net.snapshot.ports[1].snat_v4.clear();
  net.snapshot.ports[1].snat_v6.push_back(net.snapshot.ports[0].snat_v6[0]);
  net.snapshot.ports[0].present = false;
  net.snapshot.ports[1].mtu = 68;
  keep(net);
  net = plain;
  net.snapshot.reset_before = {1, 1, 1};  // becomes the revision of its publication
  keep(net);
  net = plain;
  net.snapshot.listeners.clear();
  net.snapshot.backends.resize(2);
  keep(net);
}

void PipelineHarness::make_templates() {
  for (const auto& [client, tcp, udp] :
       {std::array{"192.0.2.7:40000", "10.0.0.100:80", "10.0.0.100:53"},
        std::array{"[2001:db8::7]:40000", "[fd00:1::100]:80", "[fd00:1::100]:53"}}) {
    templates_.push_back(build(tcp_spec(client, tcp, wire::tcp_syn)));
    PacketSpec data = tcp_spec(client, tcp, wire::tcp_ack, "some payload");
    data.tcp_options = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
    templates_.push_back(build(data));
    templates_.push_back(build(udp_spec(client, udp, "some query")));
    PacketSpec odd = udp_spec(client, udp, "with options");
    odd.ipv4_options = {1, 1, 1, 0};
    odd.extensions = {Extension{}, Extension{43, Bytes(14, 0)}};
    odd.frame_bytes_min = 120;
    templates_.push_back(build(odd));
  }
  PacketSpec piece = udp_spec("192.0.2.7:40000", "10.0.0.100:53", "piece");
  piece.fragment_field = 0x2001;
  templates_.push_back(build(piece));
  piece = udp_spec("[2001:db8::7]:40000", "[fd00:1::100]:53", "piece");
  piece.extensions = {Extension{44, Bytes(6, 0)}};
  templates_.push_back(build(piece));
  templates_.push_back(build(tcp_spec("192.0.2.7:9", "10.0.0.2:22", wire::tcp_syn)));
}

void PipelineHarness::use_variant(size_t number) {
  variant_ = number;
  const auto& snapshot = variants_[number];
  snapshot->revision = ++revision_;
  for (uint64_t& before : snapshot->reset_before) before = revision_;
  rig_->publish(snapshot);
}

void PipelineHarness::run(std::span<const uint8_t> bytes) {
  Input input(bytes);
  for (unsigned i = 0; i < operations_max && !input.empty(); ++i) operate(input);
  deliver(input);
  end();
}

void PipelineHarness::operate(Input& input) {
  const uint8_t what = input.byte();
  if (what < 32) return add_raw(input);
  if (what < 144) return add_template(input);
  if (what < 192) return add_answer(input);
  if (what < 216) return deliver(input);
  if (what < 232) return pass_time(input);
  deliver(input);
  use_variant(what % variants_.size());
}

void PipelineHarness::add_raw(Input& input) {
  const uint8_t port = input.byte() % 3;
  const auto bytes = input.take(input.byte());
  Bytes frame(bytes.begin(), bytes.end());
  if (port == 2) fix_ipv4_checksum(frame);
  add(std::move(frame), port % 2, 0);
}

void PipelineHarness::add_template(Input& input) {
  Bytes frame = templates_[input.byte() % templates_.size()];
  const uint8_t how = input.byte();
  const bool is_v4 = get16(frame, 12) == 0x0800;
  const size_t l4 = is_v4 ? 34 : 54;
  frame[l4 + 1] = static_cast<uint8_t>(how & 15);  // one of 16 clients
  if ((how & 0x40) != 0) set_tcp_flags(frame, l4, input.byte());
  if ((how & 0x80) != 0) damage(frame, input);
  add(std::move(frame), how >> 4 & 1, (how & 0x30) == 0x30 ? forward::bad_l4_checksum_reported : 0);
}

/// What a backend would answer to one of the frames it got.
void PipelineHarness::add_answer(Input& input) {
  const uint8_t which = input.byte();
  Bytes frame = sent_[which % sent_max];
  if (frame.empty()) return;
  const bool is_v4 = get16(frame, 12) == 0x0800;
  const size_t address = is_v4 ? 26 : 22;
  const size_t bytes = is_v4 ? 4 : 16;
  const size_t l4 = is_v4 ? 14 + (frame[14] & 15) * size_t{4} : 54;
  std::swap_ranges(frame.begin() + static_cast<long>(address),
                   frame.begin() + static_cast<long>(address + bytes),
                   frame.begin() + static_cast<long>(address + bytes));
  std::swap_ranges(frame.begin() + static_cast<long>(l4), frame.begin() + static_cast<long>(l4 + 2),
                   frame.begin() + static_cast<long>(l4 + 2));
  frame[is_v4 ? 22 : 21] = 64;
  if ((which & 0x40) != 0) set_tcp_flags(frame, l4, input.byte());
  if ((which & 0x80) != 0) damage(frame, input);
  fix_ipv4_checksum(frame);
  add(std::move(frame), 1, 0);
}

/// Overwrites bytes, cuts or lengthens.
void PipelineHarness::damage(Bytes& frame, Input& input) {
  const uint8_t how = input.byte();
  for (unsigned i = 0; i < (how & 7u); ++i) {
    const size_t at = input.byte();
    if (at < frame.size()) frame[at] = input.byte();
  }
  if ((how & 0x08) != 0) frame.resize(input.byte());
  if ((how & 0x10) != 0) frame.resize(frame.size() + size_t{input.byte()} * 8, 0x5a);
  if ((how & 0x20) == 0) fix_ipv4_checksum(frame);
}

void PipelineHarness::add(Bytes frame, uint8_t port, uint8_t flags) {
  frame.shrink_to_fit();  // so that the sanitizer sees any byte read behind it
  burst_.push_back({std::move(frame), port, flags});
  if (burst_.size() == forward::burst_packets_max) {
    Input nothing({});
    deliver(nothing);
  }
}

void PipelineHarness::deliver(Input& input) {
  if (burst_.empty()) return;
  came_.clear();
  for (const Arrival& arrival : burst_) append(came_, arrival.bytes);
  check(rig_->deliver(input.byte() & 1, std::exchange(burst_, {})));
}

void PipelineHarness::pass_time(Input& input) {
  deliver(input);
  // From one tick to two hours.
  rig_->pass_time_ms(uint64_t{100} << input.byte() % 17);
  rig_->upkeep();
}

void PipelineHarness::check(const std::vector<Outcome>& outcomes) {
  const model::Snapshot& snapshot = *variants_[variant_];
  SLUICE_ASSERT(rig_->conserves());
  auto came = came_.begin();
  for (const Outcome& outcome : outcomes) {
    SLUICE_ASSERT(outcome.verdict != Verdict::none);
    const auto before = std::exchange(came, came + static_cast<long>(outcome.bytes.size()));
    if (disposition_of(outcome.verdict) != Disposition::forward) {
      SLUICE_ASSERT(std::equal(before, came, outcome.bytes.begin()));
      continue;
    }
    SLUICE_ASSERT(snapshot.ports[outcome.egress].present);
    const auto& mac = snapshot.ports[outcome.egress].mac.bytes;
    SLUICE_ASSERT(std::equal(mac.begin(), mac.end(), outcome.bytes.begin() + 6));
    // What goes out is again a packet that we would take: the header checksum is right too.
    wire::ParsedPacket packet;
    SLUICE_ASSERT(wire::parse(outcome.bytes, packet) == Verdict::none);
    if (outcome.verdict == Verdict::to_backend) sent_[sent_turn_++ % sent_max] = outcome.bytes;
  }
  for (const SentReply& reply : rig_->take_replies()) {
    SLUICE_ASSERT(reply.port < 2);
    SLUICE_ASSERT(wrong_checksums(reply.bytes).empty());
  }
}

/// Back to an empty balancer, cheaply: the tables are emptied, not made anew. Every connection that
/// was ever counted has ended by then.
void PipelineHarness::end() {
  for (unsigned worker = 0; worker < rig_->size(); ++worker) {
    close_all<Tuple4>(rig_->state(worker));
    close_all<Tuple6>(rig_->state(worker));
    for (unsigned ref = 0; ref < refs_used; ++ref) {
      const auto& counters = rig_->counters(worker).refs[ref];
      SLUICE_ASSERT(counters.decisions.get() == counters.ended.get());
    }
  }
  for (Bytes& sent : sent_) sent.clear();
  sent_turn_ = 0;
  if (variant_ != 0) use_variant(0);
}

}  // namespace sluice::test

// Every verdict of verdict.h, provoked at least once by a packet. Those that need a device or a
// ring to be full are in engine_test.cc.
#include "dataplane/base/verdict.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/dataplane/pipeline_rig.h"
#include "tests/dataplane/snapshot_builder.h"

namespace sluice::test {
namespace {

constexpr const char* client = "192.0.2.7:40000";
constexpr const char* web = "10.0.0.100:80";
constexpr const char* dns = "10.0.0.100:53";

PacketSpec syn() { return tcp_spec(client, web, wire::tcp_syn); }
PacketSpec query() { return udp_spec(client, dns, "query"); }

/// What a burst of one leaves: its verdict and the replies it made.
struct Seen {
  Verdict verdict;
  std::vector<SentReply> replies;
};

Bytes echo_request(const char* from, const char* to, uint8_t type) {
  return build(icmp_spec(from, to, type, 0, Bytes(4, 0)));
}

std::set<Verdict>& provoked() {
  static std::set<Verdict> verdicts;
  return verdicts;
}

Seen see(PipelineRig& rig, const Bytes& frame, uint8_t flags = 0) {
  const Verdict verdict = rig.deliver(0, {Arrival{frame, 0, flags}})[0].verdict;
  provoked().insert(verdict);
  EXPECT_TRUE(rig.conserves());
  EXPECT_GT(rig.verdicts(verdict), 0u);
  return {verdict, rig.take_replies()};
}

#define EXPECT_VERDICT(frame, expected)                            \
  do {                                                             \
    const Seen seen = see(rig, frame);                             \
    EXPECT_EQ(verdict_name(seen.verdict), verdict_name(expected)); \
    EXPECT_TRUE(seen.replies.empty());                             \
  } while (false)

TEST(Verdicts, Forwarded) {
  PipelineRig rig(plain_net().finish());
  EXPECT_VERDICT(build(syn()), Verdict::to_backend);
  // The reply: whatever the pipeline chose.
  const Bytes out = rig.deliver_one(build(syn())).bytes;
  wire::ParsedPacket packet;
  ASSERT_EQ(wire::parse(out, packet), Verdict::none);
  PacketSpec reply = tcp_spec("10.0.1.11:8080", "10.0.1.2:1", wire::tcp_syn | wire::tcp_ack);
  reply.source = {ip_address(packet.v4.destination), swap16(packet.v4.destination_port)};
  reply.destination = {ip_address(packet.v4.source), swap16(packet.v4.source_port)};
  EXPECT_VERDICT(build(reply), Verdict::to_client);
}

TEST(Verdicts, Punted) {
  PipelineRig rig(plain_net().finish());
  Bytes arp(60, 0);
  set16(arp, 12, 0x0806);
  EXPECT_VERDICT(arp, Verdict::not_ip);
  EXPECT_VERDICT(echo_request(client, "10.0.0.2:1", 8), Verdict::icmp);
  EXPECT_VERDICT(echo_request("[fd00:1::9]:1", "[fd00:1::2]:1", 128), Verdict::icmp);
  PacketSpec ospf = syn();
  ospf.protocol = 89;
  ospf.payload = Bytes(24, 1);
  EXPECT_VERDICT(build(ospf), Verdict::other_protocol);
  EXPECT_VERDICT(build(tcp_spec(client, "10.0.0.2:22", wire::tcp_syn)), Verdict::not_virtual);
  EXPECT_VERDICT(build(tcp_spec(client, "10.0.0.100:22", wire::tcp_syn)), Verdict::no_listener);
  EXPECT_VERDICT(build(udp_spec(client, web, "not TCP")), Verdict::no_listener);
  PacketSpec piece = udp_spec(client, "10.0.0.2:53", "first piece");
  piece.fragment_field = 0x2000;
  EXPECT_VERDICT(build(piece), Verdict::local_fragment);
}

TEST(Verdicts, Malformed) {
  PipelineRig rig(plain_net().finish());
  Bytes frame = build(syn());
  EXPECT_VERDICT(Bytes(frame.begin(), frame.begin() + 30), Verdict::short_frame);
  frame[14] = 0x65;
  EXPECT_VERDICT(frame, Verdict::bad_ipv4_header);
  frame = build(syn());
  frame[24] ^= 1;
  EXPECT_VERDICT(frame, Verdict::bad_ipv4_checksum);
  frame = build(tcp_spec("[2001:db8::7]:1", "[fd00:1::100]:80", wire::tcp_syn));
  frame[14] = 0x40;
  EXPECT_VERDICT(frame, Verdict::bad_ipv6_header);
  EXPECT_VERDICT(build(tcp_spec(client, web, wire::tcp_syn | wire::tcp_fin)),
                 Verdict::bad_tcp_header);
  frame = build(query());
  set16(frame, 14 + 20 + 4, 7);
  EXPECT_VERDICT(frame, Verdict::bad_udp_header);
  EXPECT_VERDICT(build(tcp_spec("224.0.0.1:9", web, wire::tcp_syn)), Verdict::bad_source);
  EXPECT_EQ(see(rig, build(syn()), forward::bad_l4_checksum_reported).verdict,
            Verdict::bad_l4_checksum);
  PacketSpec piece = query();
  piece.fragment_field = 0x2000;
  EXPECT_VERDICT(build(piece), Verdict::fragment);
  EXPECT_EQ(rig.state().connections_v4.size(), 0u) << "nothing of this opens a flow";
}

TEST(Verdicts, HopLimitAndSize) {
  for (const bool established : {false, true}) {
    PipelineRig rig(plain_net().finish());
    if (established) {
      rig.deliver_one(build(query()));
    }
    PacketSpec spec = query();
    spec.ttl = 1;
    EXPECT_VERDICT(build(spec), Verdict::ttl_expired);
    spec = query();
    spec.payload = Bytes(1500 - 28, 1);
    EXPECT_EQ(see(rig, build(spec)).verdict, Verdict::to_backend) << "exactly the MTU";
    spec.payload.push_back(1);
    EXPECT_VERDICT(build(spec), Verdict::too_big);
  }
}

TEST(Verdicts, TcpWithoutFlow) {
  PipelineRig rig(plain_net().finish());
  PacketSpec stray = tcp_spec(client, web, wire::tcp_ack, "data");
  stray.acknowledgement = 4242;
  const Seen seen = see(rig, build(stray));
  EXPECT_EQ(seen.verdict, Verdict::no_flow);
  ASSERT_EQ(seen.replies.size(), 1u);
  PacketSpec reset = tcp_spec(web, client, wire::tcp_rst);
  reset.source_mac = stray.destination_mac;
  reset.destination_mac = stray.source_mac;
  const Bytes& reply = seen.replies[0].bytes;
  EXPECT_EQ(wrong_checksums(reply), "");
  EXPECT_EQ(reply[14 + 20 + 13], wire::tcp_rst);
  EXPECT_EQ(load_be32(&reply[14 + 20 + 4]), 4242u) << "RFC 9293 §3.10.7.1";
  EXPECT_EQ(seen.replies[0].port, 0);
  EXPECT_VERDICT(build(tcp_spec(client, web, wire::tcp_rst)), Verdict::no_flow_rst);
  EXPECT_EQ(see(rig, build(tcp_spec(client, web, wire::tcp_syn | wire::tcp_ack))).verdict,
            Verdict::no_flow);
  EXPECT_EQ(rig.state().connections_v4.size(), 0u);
}

TEST(Verdicts, NoRule) {
  SnapshotBuilder net = plain_net();
  net.snapshot.routes[0].rules[0].sources = {*parse_prefix("198.51.100.0/24")};
  PipelineRig rig(net.finish());
  EXPECT_VERDICT(build(syn()), Verdict::no_rule);
  EXPECT_EQ(see(rig, build(tcp_spec("198.51.100.9:1", web, wire::tcp_syn))).verdict,
            Verdict::to_backend);
}

TEST(Verdicts, EmptyPoolRejects) {
  SnapshotBuilder net = plain_net();
  net.set_members(0, {});
  net.set_members(1, {});
  PipelineRig rig(net.finish());
  Seen seen = see(rig, build(syn()));
  EXPECT_EQ(seen.verdict, Verdict::pool_empty_reject);
  ASSERT_EQ(seen.replies.size(), 1u);
  EXPECT_EQ(seen.replies[0].bytes[14 + 20 + 13], wire::tcp_rst | wire::tcp_ack);
  EXPECT_EQ(wrong_checksums(seen.replies[0].bytes), "");

  seen = see(rig, build(query()));
  EXPECT_EQ(seen.verdict, Verdict::pool_empty_reject);
  ASSERT_EQ(seen.replies.size(), 1u);
  EXPECT_EQ(seen.replies[0].bytes[14 + 20], 3) << "ICMP unreachable";
  EXPECT_EQ(seen.replies[0].bytes[14 + 21], 3) << "port";
  EXPECT_EQ(wrong_checksums(seen.replies[0].bytes), "");

  seen = see(rig, build(udp_spec("[2001:db8::7]:1", "[fd00:1::100]:53", "query")));
  EXPECT_EQ(seen.verdict, Verdict::pool_empty_reject);
  ASSERT_EQ(seen.replies.size(), 1u);
  EXPECT_EQ(seen.replies[0].bytes[14 + 40], 1) << "ICMPv6 unreachable";
  EXPECT_EQ(wrong_checksums(seen.replies[0].bytes), "");
  EXPECT_EQ(rig.counters().refs[0].refused.get(), 1u);
  EXPECT_EQ(rig.counters().refs[0].decisions.get(), 0u);
}

TEST(Verdicts, IcmpRepliesAreLimited) {
  SnapshotBuilder net = plain_net();
  net.set_members(0, {});
  PipelineRig rig(net.finish());
  for (unsigned i = 0; i < 3 * dataplane::icmp_replies_per_tick_max; ++i) {
    rig.deliver_one(build(query()));
  }
  EXPECT_EQ(rig.take_replies().size(), dataplane::icmp_replies_per_tick_max);
  rig.pass_time_ms(100);
  rig.deliver_one(build(query()));
  EXPECT_EQ(rig.take_replies().size(), 1u);
}

TEST(Verdicts, EmptyPoolDrops) {
  SnapshotBuilder net = plain_net();
  net.set_members(0, {});
  net.snapshot.pools[0].on_empty = model::OnEmpty::drop;
  PipelineRig rig(net.finish());
  EXPECT_VERDICT(build(syn()), Verdict::pool_empty);
  EXPECT_EQ(rig.counters().refs[0].refused.get(), 1u);
}

TEST(Verdicts, EveryWeightZeroIsAnEmptyPool) {
  SnapshotBuilder net = plain_net();
  net.set_weights(0, {{0, 0}});
  PipelineRig rig(net.finish());
  EXPECT_EQ(see(rig, build(syn())).verdict, Verdict::pool_empty_reject);
}

TEST(Verdicts, BackendUnresolved) {
  SnapshotBuilder net = plain_net();
  for (model::Backend& backend : net.snapshot.backends) backend.next_hop.resolved = false;
  PipelineRig rig(net.finish());
  EXPECT_VERDICT(build(syn()), Verdict::backend_unresolved);
  EXPECT_EQ(rig.state().connections_v4.size(), 0u);
  for (model::Backend& backend : net.snapshot.backends) backend.next_hop.resolved = true;
  rig.publish(net.finish());
  EXPECT_EQ(see(rig, build(syn())).verdict, Verdict::to_backend);
  for (model::Backend& backend : net.snapshot.backends) backend.next_hop.resolved = false;
  rig.publish(net.finish());
  EXPECT_VERDICT(build(syn()), Verdict::backend_unresolved);
  EXPECT_EQ(rig.state().connections_v4.size(), 1u) << "a neighbour that flaps breaks no flow";
}

TEST(Verdicts, NoDevice) {
  SnapshotBuilder net = plain_net();
  net.snapshot.ports[1].present = false;
  PipelineRig rig(net.finish());
  EXPECT_VERDICT(build(syn()), Verdict::no_device);
}

TEST(Verdicts, NoSnatAddress) {
  SnapshotBuilder net = plain_net();
  net.snapshot.ports[1].snat_v4.clear();
  PipelineRig rig(net.finish());
  EXPECT_VERDICT(build(syn()), Verdict::no_snat_address);
  EXPECT_EQ(see(rig, build(tcp_spec("[2001:db8::7]:1", "[fd00:1::100]:80", wire::tcp_syn))).verdict,
            Verdict::to_backend);
}

TEST(Verdicts, SnatPortsExhausted) {
  SnapshotBuilder net = plain_net();
  net.set_members(0, {0});  // one backend, 8 ports towards it
  PipelineRig rig(net.finish(), {.snat_ports = ports_from(2000, 2007)});
  for (uint16_t flow = 0; flow < 8; ++flow) {
    PacketSpec spec = syn();
    spec.source.port = static_cast<uint16_t>(5000 + flow);
    EXPECT_VERDICT(build(spec), Verdict::to_backend);
  }
  EXPECT_VERDICT(build(syn()), Verdict::snat_ports_exhausted);
  EXPECT_VERDICT(build(query()), Verdict::to_backend);  // another protocol has its own ports
  EXPECT_EQ(rig.counters().refs[0].refused.get(), 1u);
  // A second address doubles them.
  net.snapshot.ports[1].snat_v4.push_back(endpoint("10.0.1.3:1").address.v4_raw());
  rig.publish(net.finish());
  EXPECT_VERDICT(build(syn()), Verdict::to_backend);
}

// Runs last of this suite (in order of definition).
TEST(VerdictsComplete, EveryOneWasProvoked) {
  // In flow_life_test.cc: backend_gone, flow_reset, flow_table_full. In engine_test.cc: the rings.
  const std::set<Verdict> elsewhere = {Verdict::backend_gone,    Verdict::flow_reset,
                                       Verdict::flow_table_full, Verdict::tx_full,
                                       Verdict::punt_full,       Verdict::handoff_full};
  for (size_t i = 1; i < verdict_count; ++i) {
    const auto verdict = static_cast<Verdict>(i);
    EXPECT_NE(provoked().contains(verdict), elsewhere.contains(verdict)) << verdict_name(verdict);
  }
}

}  // namespace
}  // namespace sluice::test

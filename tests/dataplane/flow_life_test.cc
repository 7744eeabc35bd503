// The life of flows in the pipeline: handshake to expiry, port reuse, reset by an operator, a
// backend that leaves, a full table, and the counters that must agree with all of it.
#include <gtest/gtest.h>

#include "tests/dataplane/pipeline_rig.h"
#include "tests/dataplane/snapshot_builder.h"

namespace sluice::test {
namespace {

using flow::FlowState;
using wire::tcp_ack;
using wire::tcp_fin;
using wire::tcp_rst;
using wire::tcp_syn;

/// One connection as its two ends see it. What it sends goes through the pipeline at once.
class Connection {
 public:
  Connection(PipelineRig& rig, std::string_view client, std::string_view listener,
             uint8_t protocol = protocol_tcp)
      : rig_(rig) {
    request_ = tcp_spec(client, listener, tcp_syn);
    request_.protocol = protocol;
    request_.source_mac = client_mac;
    request_.destination_mac = front_mac;
  }

  Verdict from_client(uint8_t flags, std::string_view payload = {}) {
    PacketSpec spec = request_;
    spec.tcp_flags = flags;
    spec.payload = text_bytes(payload);
    spec.sequence = 5000;
    spec.acknowledgement = 9000;
    const Outcome outcome = rig_.deliver_one(build(spec), 0);
    if (outcome.verdict == Verdict::to_backend) learn(outcome.bytes);
    return outcome.verdict;
  }

  Verdict from_backend(uint8_t flags, std::string_view payload = {}) {
    PacketSpec spec = request_;
    spec.source_mac = backend_mac;
    spec.destination_mac = back_mac;
    spec.source = backend;
    spec.destination = snat;
    spec.tcp_flags = flags;
    spec.payload = text_bytes(payload);
    spec.sequence = 9000;
    spec.acknowledgement = 5000;
    return rig_.deliver_one(build(spec), 1).verdict;
  }

  void establish() {
    EXPECT_EQ(from_client(tcp_syn), Verdict::to_backend);
    EXPECT_EQ(from_backend(tcp_syn | tcp_ack), Verdict::to_client);
    EXPECT_EQ(from_client(tcp_ack), Verdict::to_backend);
  }

  void finish() {
    EXPECT_EQ(from_client(tcp_fin | tcp_ack), Verdict::to_backend);
    EXPECT_EQ(from_backend(tcp_fin | tcp_ack), Verdict::to_client);
    EXPECT_EQ(from_client(tcp_ack), Verdict::to_backend);
  }

  Endpoint backend, snat;  // of the last packet towards the backend

 private:
  void learn(const Bytes& out) {
    wire::ParsedPacket packet;
    ASSERT_EQ(wire::parse(out, packet), Verdict::none);
    if (packet.family == Family::v4) {
      backend = {ip_address(packet.v4.destination), swap16(packet.v4.destination_port)};
      snat = {ip_address(packet.v4.source), swap16(packet.v4.source_port)};
    } else {
      backend = {ip_address(packet.v6.destination), swap16(packet.v6.destination_port)};
      snat = {ip_address(packet.v6.source), swap16(packet.v6.source_port)};
    }
  }

  PipelineRig& rig_;
  PacketSpec request_;
};

constexpr const char* client = "192.0.2.7:40000";
constexpr const char* web = "10.0.0.100:80";
constexpr const char* dns = "10.0.0.100:53";

uint64_t active(PipelineRig& rig, unsigned ref) {
  const auto& counters = rig.counters().refs[ref];
  return counters.decisions.get() - counters.ended.get();
}

uint64_t active_on_backends(PipelineRig& rig) {
  uint64_t sum = 0;
  for (unsigned id = 0; id < 8; ++id) {
    sum += rig.counters().backends[id].connections.get() - rig.counters().backends[id].ended.get();
  }
  return sum;
}

class FlowLife : public ::testing::Test {
 protected:
  FlowLife() : net_(plain_net()), rig_(net_.finish()) {}
  SnapshotBuilder net_;
  PipelineRig rig_;
};

TEST_F(FlowLife, TcpFromSynToNothing) {
  Connection connection(rig_, client, web);
  connection.establish();
  EXPECT_EQ(active(rig_, 0), 1u);
  EXPECT_EQ(active_on_backends(rig_), 1u);
  EXPECT_EQ(rig_.counters().refs[0].traffic[0].packets.get(), 2u);
  EXPECT_EQ(rig_.counters().refs[0].traffic[1].packets.get(), 1u);
  EXPECT_EQ(rig_.counters().refs[0].traffic[0].bytes.get(), 80u);
  connection.finish();
  EXPECT_EQ(active(rig_, 0), 0u) << "ended when the last FIN was acknowledged";
  EXPECT_EQ(rig_.state().connections_v4.size(), 1u);
  rig_.pass_time_ms(11'000);
  rig_.upkeep();
  EXPECT_EQ(rig_.state().connections_v4.size(), 0u);
  EXPECT_EQ(active(rig_, 0), 0u) << "not counted twice";
  EXPECT_EQ(active_on_backends(rig_), 0u);
}

TEST_F(FlowLife, SilentFlowsExpireAndEnd) {
  Connection(rig_, client, web).from_client(tcp_syn);
  Connection(rig_, client, dns, protocol_udp).from_client(0, "query");
  EXPECT_EQ(active_on_backends(rig_), 2u);
  rig_.pass_time_ms(10'200);
  rig_.upkeep();
  EXPECT_EQ(active(rig_, 0), 0u) << "half-open for 10 s";
  EXPECT_EQ(active(rig_, 1), 1u);
  rig_.pass_time_ms(20'000);
  rig_.upkeep();
  EXPECT_EQ(active_on_backends(rig_), 0u) << "UDP without an answer for 30 s";
  EXPECT_EQ(rig_.state().connections_v4.size(), 0u);
  EXPECT_EQ(rig_.counters().flows_v4.get(), 0u);
}

TEST_F(FlowLife, SynRetransmissionKeepsTheFlow) {
  Connection connection(rig_, client, web);
  connection.from_client(tcp_syn);
  const Endpoint snat = connection.snat;
  EXPECT_EQ(connection.from_client(tcp_syn), Verdict::to_backend);
  EXPECT_EQ(connection.snat, snat);
  EXPECT_EQ(rig_.counters().refs[0].decisions.get(), 1u);
}

TEST_F(FlowLife, TwoSynsInOneBurstOpenOneFlow) {
  PacketSpec syn = tcp_spec(client, web, tcp_syn);
  const auto outcomes = rig_.deliver(0, {{build(syn), 0, 0}, {build(syn), 0, 0}});
  EXPECT_EQ(outcomes[0].bytes, outcomes[1].bytes);
  EXPECT_EQ(rig_.counters().refs[0].decisions.get(), 1u);
}

TEST_F(FlowLife, PortReuseEndsTheOldFlowAndDecidesAnew) {
  Connection connection(rig_, client, web);
  connection.establish();
  EXPECT_EQ(connection.from_client(tcp_syn), Verdict::to_backend)
      << "inside an established flow a SYN is the backend's business";
  EXPECT_EQ(rig_.counters().refs[0].decisions.get(), 1u);
  connection.finish();
  const Endpoint old_snat = connection.snat;
  connection.establish();
  EXPECT_EQ(rig_.counters().refs[0].decisions.get(), 2u);
  EXPECT_NE(connection.snat, old_snat) << "the backend may still be in TIME-WAIT";
  EXPECT_EQ(active(rig_, 0), 1u);
  EXPECT_EQ(rig_.state().connections_v4.size(), 1u);
}

// The last ACK of the old connection and the SYN of the new one in the same burst, with another
// flow's packets between: each packet keeps to its own flow.
TEST_F(FlowLife, PortReuseWithinABurst) {
  Connection old(rig_, client, web), other(rig_, "192.0.2.8:40000", web);
  old.establish();
  other.establish();
  old.from_client(tcp_fin | tcp_ack);
  old.from_backend(tcp_fin | tcp_ack);
  PacketSpec last_ack = tcp_spec(client, web, tcp_ack);
  PacketSpec fresh_syn = tcp_spec(client, web, tcp_syn);
  PacketSpec between = tcp_spec("192.0.2.8:40000", web, tcp_ack, "data");
  const auto outcomes =
      rig_.deliver(0, {{build(last_ack), 0, 0}, {build(fresh_syn), 0, 0}, {build(between), 0, 0}});
  const auto snat_port = [](const Outcome& outcome) { return get16(outcome.bytes, 14 + 20); };
  EXPECT_EQ(snat_port(outcomes[0]), old.snat.port);
  EXPECT_NE(snat_port(outcomes[1]), old.snat.port);
  EXPECT_EQ(snat_port(outcomes[2]), other.snat.port);
  EXPECT_EQ(active(rig_, 0), 2u);
}

TEST_F(FlowLife, ResetEndsAtOnceAndForgedResetIsUndone) {
  Connection connection(rig_, client, web);
  connection.establish();
  EXPECT_EQ(connection.from_client(tcp_rst), Verdict::to_backend) << "the backend is told";
  EXPECT_EQ(active(rig_, 0), 0u);
  EXPECT_EQ(connection.from_client(tcp_ack, "I never sent that"), Verdict::to_backend);
  EXPECT_EQ(active(rig_, 0), 1u);
  EXPECT_EQ(active_on_backends(rig_), 1u);
}

TEST_F(FlowLife, HandshakesThatABackendDoesNotTakeAreCountedOnItsAccount) {
  const auto sum = [&](Counter dataplane::BackendCounters::* counter) {
    uint64_t total = 0;
    for (unsigned id = 0; id < 8; ++id) total += (rig_.counters().backends[id].*counter).get();
    return total;
  };
  Connection refused(rig_, client, web);
  refused.from_client(tcp_syn);
  EXPECT_EQ(refused.from_backend(tcp_rst | tcp_ack), Verdict::to_client);
  EXPECT_EQ(sum(&dataplane::BackendCounters::refused), 1u);
  Connection aborted(rig_, "192.0.2.7:40001", web);
  aborted.establish();
  EXPECT_EQ(aborted.from_backend(tcp_rst), Verdict::to_client);
  EXPECT_EQ(sum(&dataplane::BackendCounters::refused), 1u) << "it had taken that one";
  Connection silent(rig_, "192.0.2.7:40002", web);
  silent.from_client(tcp_syn);
  Connection given_up(rig_, "192.0.2.7:40003", web);
  given_up.from_client(tcp_syn);
  given_up.from_backend(tcp_syn | tcp_ack);
  Connection(rig_, "192.0.2.7:40004", dns, protocol_udp).from_client(0, "query");
  EXPECT_EQ(sum(&dataplane::BackendCounters::unanswered), 0u);
  rig_.pass_time_ms(31'000);
  rig_.upkeep();
  EXPECT_EQ(sum(&dataplane::BackendCounters::unanswered), 1u)
      << "the client's fault and UDP do not count";
}

TEST_F(FlowLife, OperatorResetAnswersBothSides) {
  Connection connection(rig_, client, web);
  connection.establish();
  net_.snapshot.reset_before = {net_.snapshot.revision};
  rig_.publish(net_.finish());
  EXPECT_EQ(connection.from_client(tcp_ack, "hello?"), Verdict::flow_reset);
  auto replies = rig_.take_replies();
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_EQ(replies[0].port, 0);
  EXPECT_EQ(load_be32(&replies[0].bytes[38]), 9000u) << "what the client believes: its ACK";
  EXPECT_EQ(replies[1].port, 1);
  EXPECT_EQ(load_be32(&replies[1].bytes[38]), 5000u) << "what the backend believes: this SEQ";
  EXPECT_EQ(get16(replies[1].bytes, 34), connection.snat.port);
  EXPECT_EQ(Bytes(replies[1].bytes.begin(), replies[1].bytes.begin() + 6),
            Bytes(backend_mac.bytes.begin(), backend_mac.bytes.end()));
  for (const SentReply& reply : replies) EXPECT_EQ(wrong_checksums(reply.bytes), "");
  EXPECT_EQ(active(rig_, 0), 0u);
  EXPECT_EQ(rig_.counters().refs[0].resets.get(), 1u);

  EXPECT_EQ(connection.from_backend(tcp_ack, "late"), Verdict::flow_reset);
  replies = rig_.take_replies();
  ASSERT_EQ(replies.size(), 1u) << "the other side was told before";
  EXPECT_EQ(replies[0].port, 1);
  EXPECT_EQ(connection.from_client(tcp_rst), Verdict::flow_reset);
  EXPECT_TRUE(rig_.take_replies().empty()) << "never a RST for a RST";
  connection.establish();  // port reuse on the tombstone
  EXPECT_EQ(active(rig_, 0), 1u);
  EXPECT_TRUE(rig_.conserves());
}

TEST_F(FlowLife, OperatorResetSweepsSilentFlowsAndSparesYoungOnes) {
  std::vector<Connection> old;
  for (uint16_t i = 0; i < 1000; ++i) {
    old.emplace_back(rig_, "192.0.2.7:" + std::to_string(1000 + i), web);
    old.back().from_client(tcp_syn);
  }
  Connection(rig_, client, dns, protocol_udp).from_client(0, "another ref");
  net_.snapshot.reset_before = {net_.snapshot.revision, 0};
  rig_.publish(net_.finish());
  EXPECT_TRUE(rig_.upkeep_of().sweeping());
  Connection young(rig_, client, web);
  young.establish();
  rig_.upkeep();
  EXPECT_FALSE(rig_.upkeep_of().sweeping());
  EXPECT_EQ(active(rig_, 0), 1u);
  EXPECT_EQ(active(rig_, 1), 1u);
  EXPECT_EQ(rig_.counters().refs[0].resets.get(), 1000u);
  EXPECT_EQ(young.from_client(tcp_ack, "still here"), Verdict::to_backend);
  // The same reset is not swept again, whatever is published.
  rig_.publish(net_.finish());
  EXPECT_FALSE(rig_.upkeep_of().sweeping());
}

TEST_F(FlowLife, OperatorResetOfUdpDecidesAnew) {
  Connection connection(rig_, client, dns, protocol_udp);
  connection.from_client(0, "one");
  EXPECT_EQ(connection.from_backend(0, "two"), Verdict::to_client);
  net_.snapshot.reset_before = {0, net_.snapshot.revision};
  rig_.publish(net_.finish());
  EXPECT_EQ(connection.from_client(0, "three"), Verdict::to_backend) << "UDP knows no RST";
  EXPECT_EQ(rig_.counters().refs[1].decisions.get(), 2u);
  EXPECT_EQ(rig_.counters().refs[1].resets.get(), 1u);
  EXPECT_EQ(active(rig_, 1), 1u);
  net_.snapshot.reset_before = {0, net_.snapshot.revision};
  rig_.publish(net_.finish());
  EXPECT_EQ(connection.from_backend(0, "four"), Verdict::flow_reset);
  EXPECT_EQ(active(rig_, 1), 0u);
  EXPECT_TRUE(rig_.take_replies().empty());
}

TEST_F(FlowLife, BackendThatLeftAnswersItsFlows) {
  Connection connection(rig_, client, web);
  connection.establish();
  for (model::Backend& backend : net_.snapshot.backends) backend.present = false;
  net_.set_members(0, {});
  rig_.publish(net_.finish());
  EXPECT_EQ(connection.from_client(tcp_ack, "hello?"), Verdict::backend_gone);
  auto replies = rig_.take_replies();
  ASSERT_EQ(replies.size(), 1u) << "nobody on the other side";
  EXPECT_EQ(replies[0].port, 0);
  EXPECT_EQ(active(rig_, 0), 0u);
  EXPECT_EQ(connection.from_backend(tcp_ack, "a ghost"), Verdict::backend_gone);
  EXPECT_EQ(rig_.take_replies().size(), 2u) << "the ghost, and the client once more";
}

TEST_F(FlowLife, RecycledBackendIdNeverInheritsAFlow) {
  Connection connection(rig_, client, web);
  connection.establish();
  Connection udp(rig_, client, dns, protocol_udp);
  udp.from_client(0, "one");
  const Endpoint old_backend = udp.backend;
  for (unsigned id = 0; id < 2; ++id) {
    ++net_.snapshot.backends[id].incarnation;
    net_.snapshot.backends[id].endpoint.address.bytes[3] += 100;
  }
  net_.set_members(0, {0, 1});
  rig_.publish(net_.finish());
  EXPECT_EQ(connection.from_client(tcp_ack, "to the old one"), Verdict::backend_gone);
  EXPECT_EQ(connection.from_client(tcp_syn), Verdict::to_backend) << "a SYN may start again";
  EXPECT_EQ(udp.from_client(0, "two"), Verdict::to_backend);
  EXPECT_NE(udp.backend, old_backend);
  EXPECT_EQ(active(rig_, 0), 1u);
  EXPECT_EQ(active(rig_, 1), 1u);
}

TEST_F(FlowLife, NextHopChangesAreFollowedAtOnce) {
  Connection connection(rig_, client, web);
  connection.establish();
  const MacAddress gateway{{0x02, 0, 0, 0, 0, 0x99}};
  for (model::Backend& backend : net_.snapshot.backends) {
    backend.next_hop = {true, 0, gateway};
  }
  rig_.publish(net_.finish());
  PacketSpec data = tcp_spec(client, web, tcp_ack, "data");
  const Outcome outcome = rig_.deliver_one(build(data));
  EXPECT_EQ(outcome.egress, 0);
  EXPECT_EQ(Bytes(outcome.bytes.begin(), outcome.bytes.begin() + 6),
            Bytes(gateway.bytes.begin(), gateway.bytes.end()));
  EXPECT_EQ(get16(outcome.bytes, 34), connection.snat.port) << "same flow, same SNAT port";
}

TEST(FullTable, EmbryonicFlowsMakeRoomAndEstablishedOnesStay) {
  constexpr unsigned flows = 500;
  SnapshotBuilder net = plain_net();
  PipelineRig rig(net.finish(), {.flows_max = flows});
  std::vector<Connection> established;
  for (unsigned i = 0; i < flows; ++i) {
    established.emplace_back(rig, "192.0.2.7:" + std::to_string(1000 + i), web);
    established.back().establish();
  }
  Connection refused(rig, client, web);
  EXPECT_EQ(refused.from_client(tcp_syn), Verdict::flow_table_full);
  EXPECT_EQ(rig.counters().refs[0].refused.get(), 1u);
  rig.pass_time_ms(5'000);
  for (unsigned i = 1; i < flows; ++i) established[i].from_client(tcp_ack, "still talking");
  rig.pass_time_ms(6'000);
  // One has been silent for more than 10 s. Timers are re-armed lazily, so finding it may take a
  // few tries, each of which puts some timers in order.
  unsigned tries = 0;
  while (refused.from_client(tcp_syn) != Verdict::to_backend && tries < flows / 4) ++tries;
  EXPECT_LT(tries, flows / 4);
  EXPECT_EQ(rig.counters().flows_evicted.get(), 1u);
  EXPECT_EQ(established[0].from_client(tcp_ack, "too late"), Verdict::no_flow);
  // A flood of SYNs turns over its own half-open flows only.
  for (unsigned i = 0; i < 3000; ++i) {
    Connection flood(rig, "198.51.100.9:" + std::to_string(1000 + i), web);
    ASSERT_EQ(flood.from_client(tcp_syn), Verdict::to_backend) << i;
  }
  for (unsigned i = 1; i < flows; ++i) {
    ASSERT_EQ(established[i].from_client(tcp_ack, "unharmed"), Verdict::to_backend) << i;
  }
  EXPECT_EQ(active(rig, 0), flows);
  EXPECT_EQ(active_on_backends(rig), flows);
  EXPECT_TRUE(rig.conserves());
}

}  // namespace
}  // namespace sluice::test

// The churn source's conversations through the real pipeline, and what it says about packets that
// the pipeline must never send: the checks of perf/run connections and swaps can fail.
#include "perf/conversation.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "perf/dut_snapshot.h"
#include "tests/dataplane/pipeline_rig.h"

namespace sluice::perf {
namespace {

using SnapshotPtr = std::shared_ptr<const model::Snapshot>;
using test::Bytes;
using Frame = std::array<uint8_t, Conversation::frame_bytes_max>;

struct Traffic {
  Family family;
  uint8_t protocol;
};

/// A pipeline between the conversation's clients and backends.
struct Lab {
  explicit Lab(Traffic traffic)
      : snapshots({.listeners = 3,
                   .backends = 10,
                   .family = traffic.family,
                   .protocol = traffic.protocol,
                   .ending_ticks = 0}),
        conversation(traffic.family, traffic.protocol, 3),
        rig(snapshots.next_marked()) {}

  Bytes to_backend(const Message& message) {
    Frame frame{};
    const uint16_t bytes = conversation.write(message, frame.data());
    return carried({frame.begin(), frame.begin() + bytes}, 0);
  }

  Bytes answer(const Bytes& from, Message message, Step step) {
    message.step = step;
    Frame frame{};
    const uint16_t bytes = conversation.answer(from.data(), message, frame.data());
    return carried({frame.begin(), frame.begin() + bytes}, is_from_client(step) ? 0 : 1);
  }

  Bytes carried(const Bytes& bytes, uint8_t port) {
    const test::Outcome outcome = rig.deliver_one(bytes, port);
    EXPECT_EQ(outcome.verdict, port == 0 ? Verdict::to_backend : Verdict::to_client);
    return outcome.bytes;
  }

  DutSnapshots snapshots;
  Conversation conversation;
  test::PipelineRig rig;
};

class ConversationTest : public testing::TestWithParam<Traffic> {};

TEST_P(ConversationTest, GoesFromTheFirstPacketToTheLast) {
  Lab lab(GetParam());
  const Message first{Kind::churn, Step::syn, 0xfff0'1234};
  const bool is_tcp = lab.conversation.is_tcp();
  Bytes frame = lab.to_backend(first);
  const auto opened = lab.conversation.read_at_backend(frame);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->message, first);
  const Step last = is_tcp ? Step::last_ack : Step::syn_ack;
  for (auto step = Step::syn_ack; step <= last; step = static_cast<Step>(int(step) + 1)) {
    // The request is sent after the ACK, by the client again.
    const bool same_sender = step == Step::request;
    frame =
        same_sender ? lab.to_backend({first.kind, step, first.id}) : lab.answer(frame, first, step);
    const auto seen = is_from_client(step) ? lab.conversation.read_at_backend(frame)
                                           : lab.conversation.read_at_client(frame);
    ASSERT_TRUE(seen) << int(step);
    EXPECT_EQ(seen->message, (Message{first.kind, step, first.id}));
    if (is_from_client(step)) {
      EXPECT_EQ(seen->endpoints, opened->endpoints);
    }
  }
  const auto& ref = lab.rig.counters().refs;
  uint64_t ended = 0;
  for (const auto& each : ref) ended += each.ended.get();
  EXPECT_EQ(ended, is_tcp ? 1u : 0u) << "the pipeline saw the same end";
}

TEST_P(ConversationTest, LiveConnectionsAnswerPings) {
  Lab lab(GetParam());
  Message live{Kind::live, Step::syn, 7};
  const auto opened = lab.conversation.read_at_backend(lab.to_backend(live));
  ASSERT_TRUE(opened);
  live.step = Step::ping;
  const Bytes ping = lab.to_backend(live);
  const auto seen = lab.conversation.read_at_backend(ping);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->endpoints, opened->endpoints);
  const auto pong = lab.conversation.read_at_client(lab.answer(ping, live, Step::pong));
  ASSERT_TRUE(pong);
  EXPECT_EQ(pong->message.id, 7u);
}

TEST_P(ConversationTest, RefusesWhatThePipelineMustNotSend) {
  Lab lab(GetParam());
  const Message message{Kind::churn, Step::syn, 99};
  const Bytes good = lab.to_backend(message);
  const Bytes answer = lab.answer(good, message, Step::syn_ack);
  ASSERT_TRUE(lab.conversation.read_at_backend(good));
  ASSERT_TRUE(lab.conversation.read_at_client(answer));
  EXPECT_FALSE(lab.conversation.read_at_client(good));
  EXPECT_FALSE(lab.conversation.read_at_backend(answer));
  EXPECT_FALSE(lab.conversation.read_at_backend({good.data(), 40}));
  // Behind the MAC addresses every byte that has a meaning is under a checksum, or compared.
  const size_t ip_bytes = GetParam().family == Family::v4 ? 20 : 40;
  const size_t l4_bytes = lab.conversation.is_tcp() ? 20 : 8;
  for (size_t at = 14; at < 14 + ip_bytes + l4_bytes; ++at) {
    // IPv6: version, class, flow label and hop limit are under no checksum.
    if (GetParam().family == Family::v6 && (at < 18 || at == 21)) continue;
    Bytes bad = good;
    bad[at] ^= 0x04;
    EXPECT_FALSE(lab.conversation.read_at_backend(bad)) << at;
    bad = answer;
    bad[at] ^= 0x04;
    EXPECT_FALSE(lab.conversation.read_at_client(bad)) << at;
  }
}

// Somebody else's answer, whole and with right checksums: the client is not its connection's.
TEST_P(ConversationTest, RefusesAnAnswerForAnotherClient) {
  Lab lab(GetParam());
  const Message one{Kind::churn, Step::syn, 1}, other{Kind::churn, Step::syn_ack, 4};
  const Bytes at_backend = lab.to_backend(one);
  Frame frame{};
  const uint16_t bytes = lab.conversation.answer(at_backend.data(), other, frame.data());
  const test::Outcome outcome = lab.rig.deliver_one(Bytes{frame.begin(), frame.begin() + bytes}, 1);
  EXPECT_EQ(outcome.verdict, Verdict::to_client);
  EXPECT_FALSE(lab.conversation.read_at_client(outcome.bytes));
}

TEST_P(ConversationTest, EachConnectionHasAClientOfItsOwn) {
  Lab lab(GetParam());
  std::set<Bytes> clients;
  const size_t l4_at = GetParam().family == Family::v4 ? 34 : 54;
  for (const Kind kind : {Kind::churn, Kind::live, Kind::flood}) {
    for (uint32_t id = 0; id < 3000; ++id) {
      Frame frame{};
      lab.conversation.write({kind, Step::syn, id}, frame.data());
      clients.insert(Bytes(frame.begin() + 14 + (l4_at == 34 ? 12 : 8), frame.begin() + l4_at + 2));
    }
  }
  EXPECT_EQ(clients.size(), 9000u);
}

/// How many of 200 new connections show more than one snapshot.
unsigned mixed_of(Lab& lab, uint32_t first) {
  unsigned mixed = 0;
  for (uint32_t id = first; id < first + 200; ++id) {
    const auto seen =
        lab.conversation.read_at_backend(lab.to_backend({Kind::churn, Step::syn, id}));
    EXPECT_TRUE(seen);
    mixed += seen && seen->is_mixed;
  }
  return mixed;
}

TEST_P(ConversationTest, SwappedSnapshotsAreNotMixed) {
  Lab lab(GetParam());
  for (uint32_t swap = 0; swap < 10; ++swap) {
    EXPECT_EQ(mixed_of(lab, 200 * swap), 0u);
    lab.rig.publish(lab.snapshots.next_marked());
  }
}

// A planted fault for each of the three tables that carry a mark.
TEST_P(ConversationTest, AMixtureOfTwoSnapshotsShows) {
  Lab lab(GetParam());
  const SnapshotPtr one = lab.snapshots.next_marked(), next = lab.snapshots.next_marked();
  const auto publish = [&](auto&& spoil) {
    auto mixture = std::make_shared<model::Snapshot>(*one);
    spoil(*mixture);
    lab.rig.publish(std::move(mixture));
  };
  publish([&](model::Snapshot& mixture) { mixture.routes = next->routes; });
  EXPECT_EQ(mixed_of(lab, 0), 200u);
  publish([&](model::Snapshot& mixture) { mixture.backends = next->backends; });
  EXPECT_EQ(mixed_of(lab, 200), 200u);
  publish([&](model::Snapshot& mixture) { mixture.ports = next->ports; });
  EXPECT_EQ(mixed_of(lab, 400), 200u);
  publish([](model::Snapshot&) {});
  EXPECT_EQ(mixed_of(lab, 600), 0u);
}

INSTANTIATE_TEST_SUITE_P(Traffics, ConversationTest,
                         testing::Values(Traffic{Family::v4, protocol_tcp},
                                         Traffic{Family::v4, protocol_udp},
                                         Traffic{Family::v6, protocol_tcp},
                                         Traffic{Family::v6, protocol_udp}));

}  // namespace
}  // namespace sluice::perf

// What the generator demands of returning packets: every kind of planted fault is told from the
// others, in each family and protocol, with a NAT between the two sides.
#include "perf/arrivals.h"

#include <gtest/gtest.h>

#include <vector>

#include "dataplane/base/byte_order.h"
#include "dataplane/wire/checksum.h"
#include "dataplane/wire/headers.h"

namespace sluice::perf {
namespace {

constexpr uint32_t flows = 100;
constexpr size_t ip_at = wire::ethernet_header_bytes;
using Frame = std::vector<uint8_t>;

struct Shape {
  Family family;
  uint8_t protocol;
  uint16_t bytes;
};

/// A full NAT in miniature, which keeps the checksums right as devices do: by what changed.
class SmallNat {
 public:
  explicit SmallNat(const Shape& shape)
      : shape_(shape),
        is_v4_(shape.family == Family::v4),
        l4_(ip_at + (is_v4_ ? wire::ipv4::header_bytes : wire::ipv6::header_bytes)) {}

  /// To the backends: source and destination replaced by ones that depend on the client's port.
  void translate(Frame& frame) const {
    const uint16_t client_port = load_be16(&frame[l4_]);
    rewrite(frame, source_at() + address_bytes() - 4, 0xc0a8'0001);
    rewrite(frame, source_at() + 2 * address_bytes() - 4, 0x0a04'0000 + client_port % 7);
  }

  /// The translation of an answer: to the client whose packet was `sent`.
  void translate_back(Frame& frame, const uint8_t* sent) const {
    rewrite(frame, source_at() + address_bytes() - 4,
            load_be32(sent + source_at() + 2 * address_bytes() - 4));
    rewrite(frame, source_at() + 2 * address_bytes() - 4,
            load_be32(sent + source_at() + address_bytes() - 4));
  }

 private:
  size_t address_bytes() const { return is_v4_ ? 4 : 16; }
  size_t source_at() const { return ip_at + (is_v4_ ? wire::ipv4::source : wire::ipv6::source); }

  void rewrite(Frame& frame, size_t at, uint32_t value) const {
    wire::ChecksumDelta delta;
    const auto before = load<uint32_t>(&frame[at]);
    store_be32(&frame[at], value);
    delta.replace32(before, load<uint32_t>(&frame[at]));
    const bool udp = shape_.protocol == protocol_udp;
    uint8_t* l4_sum = &frame[l4_ + (udp ? wire::udp::checksum : wire::tcp::checksum)];
    store(l4_sum, delta.apply(load<uint16_t>(l4_sum)));
    if (!is_v4_) return;
    uint8_t* ip_sum = &frame[ip_at + wire::ipv4::checksum];
    store(ip_sum, delta.apply(load<uint16_t>(ip_sum)));
  }

  Shape shape_;
  bool is_v4_;
  size_t l4_;
};

class ArrivalsTest : public testing::TestWithParam<Shape> {
 protected:
  ArrivalsTest() : nat_(GetParam()), templates_(plan()), arrivals_(open()) {}

  static FlowPlan plan() {
    FlowPlan plan;
    plan.flows = flows;
    plan.family = GetParam().family;
    plan.protocol = GetParam().protocol;
    plan.frame_bytes = GetParam().bytes;
    plan.payload_bytes_min = ProbeFormat::payload_bytes(plan.protocol);
    return plan;
  }

  const FlowTemplates& open() {
    for (uint32_t flow = 0; flow < flows; ++flow) {
      Frame frame(learning_frame_bytes);
      templates_.write_opening(flow, frame.data());
      nat_.translate(frame);
      EXPECT_EQ(templates_.learn(frame), flow);
    }
    templates_.finish();
    return templates_;
  }

  /// As it leaves the generator.
  Frame send(uint32_t flow, bool from_backend) {
    const uint8_t* from = from_backend ? templates_.backend(flow) : templates_.client(flow);
    Frame frame(2048);
    for (size_t i = 0; i < frame.size(); ++i) frame[i] = ProbeFormat::filler_at(i);
    std::memcpy(frame.data(), from, templates_.template_bytes());
    const uint16_t bytes = templates_.frame_bytes(from);
    const uint32_t sequence = arrivals_.ledger(from_backend).next(flow);
    arrivals_.format().write(frame.data(), bytes, {flow, from_backend, sequence, 12345});
    frame.resize(bytes);
    return frame;
  }

  /// As it comes out of the device.
  Frame carried(uint32_t flow, bool from_backend = false) {
    Frame frame = send(flow, from_backend);
    from_backend ? nat_.translate_back(frame, templates_.client(flow)) : nat_.translate(frame);
    return frame;
  }

  Arrival judge(const Frame& frame, bool from_backend = false) {
    return arrivals_.judge(from_backend ? 0 : 1, frame, probe_);
  }

  SmallNat nat_;
  FlowTemplates templates_;
  Arrivals arrivals_;
  Probe probe_;
};

TEST_P(ArrivalsTest, WholePacketsOfBothDirectionsAreGood) {
  for (int round = 0; round < 3; ++round) {
    for (uint32_t flow = 0; flow < flows; ++flow) {
      EXPECT_EQ(judge(carried(flow)), Arrival::good);
      EXPECT_EQ(judge(carried(flow, true), true), Arrival::good);
    }
  }
  EXPECT_EQ(probe_.flow, flows - 1);
  EXPECT_TRUE(probe_.from_backend);
  EXPECT_EQ(probe_.sequence, 3);
  EXPECT_EQ(probe_.stamp, 12345);
}

TEST_P(ArrivalsTest, FramesHaveTheirLengthAndRightChecksumsWhenTheyLeave) {
  const Frame frame = send(5, false);
  EXPECT_GE(frame.size(), GetParam().bytes);
  EXPECT_TRUE(templates_.checksums_right(frame));
}

TEST_P(ArrivalsTest, ADroppedPacketLeavesTheLaterOnesGood) {
  EXPECT_EQ(judge(carried(1)), Arrival::good);
  carried(1);
  EXPECT_EQ(judge(carried(1)), Arrival::good);
}

TEST_P(ArrivalsTest, ADuplicateIsFoundAlsoAfterOthers) {
  const Frame first = carried(1);
  EXPECT_EQ(judge(first), Arrival::good);
  EXPECT_EQ(judge(first), Arrival::duplicate);
  EXPECT_EQ(judge(carried(1)), Arrival::good);
  EXPECT_EQ(judge(first), Arrival::duplicate);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(judge(carried(1)), Arrival::good);
  EXPECT_EQ(judge(first), Arrival::duplicate);
}

TEST_P(ArrivalsTest, AnOvertakenPacketIsLateAndNoDuplicate) {
  const Frame first = carried(1), second = carried(1);
  EXPECT_EQ(judge(second), Arrival::good);
  EXPECT_EQ(judge(first), Arrival::late);
  EXPECT_EQ(judge(first), Arrival::duplicate);
}

TEST_P(ArrivalsTest, EveryFlippedByteBehindTheEthernetHeaderIsFound) {
  for (size_t at = ip_at; at < carried(1).size(); ++at) {
    Frame frame = carried(1);
    frame[at] ^= 0x10;
    // Traffic class, flow label and hop limit are a router's to change (RFC 8200 §3).
    const bool free_field =
        GetParam().family == Family::v6 && (at < ip_at + 4 || at == ip_at + wire::ipv6::hop_limit);
    EXPECT_EQ(judge(frame) >= Arrival::foreign, !free_field) << "byte " << at;
  }
}

TEST_P(ArrivalsTest, ShortenedAndLengthenedFramesAreNotGood) {
  Frame frame = carried(1);
  frame.push_back(0);
  EXPECT_EQ(judge(frame), Arrival::corrupt);
  frame.resize(frame.size() - 3);
  EXPECT_GE(judge(frame), Arrival::foreign);
  EXPECT_EQ(judge(Frame(20)), Arrival::foreign);
}

TEST_P(ArrivalsTest, AnotherFlowsAddressIsFoundAlthoughTheChecksumsAreRight) {
  Frame frame = send(1, false);
  nat_.translate_back(frame, templates_.client(2));
  EXPECT_TRUE(templates_.checksums_right(frame));
  EXPECT_EQ(judge(frame), Arrival::wrong_flow);
  Frame answer = send(1, true);
  nat_.translate_back(answer, templates_.client(2));
  EXPECT_EQ(judge(answer, true), Arrival::wrong_flow);
}

TEST_P(ArrivalsTest, ThePacketThatComesBackWhereItWentInIsMisdelivered) {
  EXPECT_EQ(judge(carried(1), true), Arrival::misdelivered);
  EXPECT_EQ(judge(carried(1, true)), Arrival::misdelivered);
}

TEST_P(ArrivalsTest, ANumberThatWasNeverSentIsCorrupt) {
  const Frame frame = carried(1);
  Arrivals fresh(templates_);
  EXPECT_EQ(fresh.judge(1, frame, probe_), Arrival::corrupt);
  arrivals_.ledger(false).take_back(1);
  EXPECT_EQ(judge(frame), Arrival::corrupt);
}

TEST_P(ArrivalsTest, OthersPacketsAreForeign) {
  Frame frame = carried(1);
  store_be16(&frame[wire::ethernet::type], 0x0806);
  EXPECT_EQ(judge(frame), Arrival::foreign);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ArrivalsTest,
    testing::Values(Shape{Family::v4, protocol_udp, 64}, Shape{Family::v4, protocol_tcp, 64},
                    Shape{Family::v6, protocol_udp, 64}, Shape{Family::v6, protocol_tcp, 64},
                    Shape{Family::v4, protocol_udp, 0}, Shape{Family::v4, protocol_udp, 1500},
                    Shape{Family::v6, protocol_tcp, 1500}, Shape{Family::v4, protocol_tcp, 571}),
    [](const auto& tested) {
      const Shape& shape = tested.param;
      return std::string(shape.protocol == protocol_udp ? "udp" : "tcp") +
             (shape.family == Family::v4 ? "4_" : "6_") + std::to_string(shape.bytes);
    });

TEST(SequenceLedger, WindowHolds32Numbers) {
  SequenceLedger ledger(1);
  for (int i = 0; i < 100; ++i) ledger.next(0);
  EXPECT_EQ(ledger.arrived(0, 100), Order::next);
  EXPECT_EQ(ledger.arrived(0, 69), Order::late);
  EXPECT_EQ(ledger.arrived(0, 69), Order::again);
  EXPECT_EQ(ledger.arrived(0, 68), Order::again);
  EXPECT_EQ(ledger.arrived(0, 0), Order::never_sent);
  EXPECT_EQ(ledger.arrived(0, 101), Order::never_sent);
}

}  // namespace
}  // namespace sluice::perf

#include "dataplane/wire/reply.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/dataplane/wire/golden.h"

namespace sluice::wire {
namespace {

using test::build;
using test::Bytes;
using test::PacketSpec;
using test::tcp_spec;
using test::udp_spec;

using Builder = size_t (*)(std::span<const uint8_t>, const ParsedPacket&, std::span<uint8_t>);

/// What `builder` answers; empty when nothing.
Bytes answer(Builder builder, const Bytes& frame, size_t room = reply_bytes_max) {
  ParsedPacket packet;
  EXPECT_EQ(parse(frame, packet), Verdict::none);
  Bytes out(room, 0xcc);
  out.resize(builder(frame, packet, out));
  return out;
}

struct TcpFields {
  uint32_t sequence, acknowledgement;
  uint8_t flags;
};

TcpFields tcp_fields(const Bytes& frame) {
  ParsedPacket packet;
  EXPECT_EQ(parse(frame, packet), Verdict::none);
  EXPECT_EQ(packet.protocol, protocol_tcp);
  const uint8_t* l4 = frame.data() + packet.l4_offset;
  return {load_be32(l4 + tcp::sequence), load_be32(l4 + tcp::acknowledgement), packet.tcp_flags};
}

TEST(Reply, MakesTheGoldenFrames) {
  EXPECT_EQ(answer(build_reset_to_sender, test::tcp4_in), test::tcp4_reset);
  EXPECT_EQ(answer(build_reset_to_sender, test::tcp6_in), test::tcp6_reset);
  EXPECT_EQ(answer(build_port_unreachable, test::udp4_in), test::udp4_unreachable);
  EXPECT_EQ(answer(build_port_unreachable, test::udp6_in), test::udp6_unreachable);
}

TEST(Reply, ResetFollowsRfc9293) {  // §3.10.7.1
  const auto reset = [](uint8_t flags, std::string_view payload) {
    PacketSpec spec = tcp_spec("10.0.0.1:40000", "10.0.0.100:80", flags, payload);
    spec.sequence = 0xffff'fffe;  // so that SEG.SEQ + SEG.LEN wraps
    spec.acknowledgement = 777;
    spec.frame_bytes_min = 80;  // padding is no payload
    return tcp_fields(answer(build_reset_to_sender, build(spec)));
  };
  const TcpFields to_syn = reset(tcp_syn, "");
  EXPECT_EQ(to_syn.sequence, 0u);
  EXPECT_EQ(to_syn.acknowledgement, 0xffff'ffffu);
  EXPECT_EQ(to_syn.flags, tcp_rst | tcp_ack);
  EXPECT_EQ(reset(tcp_syn, "data").acknowledgement, 3u);  // TCP Fast Open
  for (const int flags : {int{tcp_ack}, tcp_syn | tcp_ack, tcp_fin | tcp_ack, tcp_psh | tcp_ack}) {
    const TcpFields to_ack = reset(static_cast<uint8_t>(flags), "data");
    EXPECT_EQ(to_ack.sequence, 777u);
    EXPECT_EQ(to_ack.acknowledgement, 0u);
    EXPECT_EQ(to_ack.flags, tcp_rst);
  }
}

TEST(Reply, NeverAnswersAReset) {
  for (const int flags : {int{tcp_rst}, tcp_rst | tcp_ack}) {
    const Bytes frame = build(tcp_spec("10.0.0.1:1", "10.0.0.2:2", static_cast<uint8_t>(flags)));
    EXPECT_TRUE(answer(build_reset_to_sender, frame).empty());
    ParsedPacket packet;
    ASSERT_EQ(parse(frame, packet), Verdict::none);
    Bytes out(reply_bytes_max);
    EXPECT_EQ(build_reset_onward(frame, packet, Tuple4{}, {}, {}, out), 0u);
  }
}

TEST(Reply, NeverResetsUdp) {
  EXPECT_TRUE(answer(build_reset_to_sender, test::udp4_in).empty());
  EXPECT_TRUE(answer(build_reset_to_sender, test::udp6_in).empty());
}

TEST(Reply, NeverAnswersWhatWasSentToMany) {
  std::vector<PacketSpec> specs;
  for (const char* destination : {"255.255.255.255:80", "224.0.0.1:80", "239.255.0.1:80"}) {
    specs.push_back(tcp_spec("10.0.0.1:1", destination, tcp_syn));
  }
  specs.push_back(tcp_spec("0.0.0.0:68", "255.255.255.255:67", tcp_syn));
  specs.push_back(tcp_spec("[fe80::1]:1", "[ff02::1]:80", tcp_syn));
  specs.push_back(tcp_spec("[::]:1", "[ff02::1]:80", tcp_syn));
  PacketSpec broadcast_frame = tcp_spec("10.0.0.1:1", "10.0.0.2:2", tcp_syn);
  broadcast_frame.destination_mac.bytes.fill(0xff);
  specs.push_back(broadcast_frame);
  PacketSpec group_sender = tcp_spec("[fd00::1]:1", "[fd00::2]:2", tcp_syn);
  group_sender.source_mac.bytes[0] = 0x33;
  specs.push_back(group_sender);
  for (PacketSpec& spec : specs) {
    EXPECT_TRUE(answer(build_reset_to_sender, build(spec)).empty());
    spec.protocol = protocol_udp;
    EXPECT_TRUE(answer(build_port_unreachable, build(spec)).empty());
  }
}

TEST(Reply, ResetOnwardSpeaksForTheSender) {
  const MacAddress to_mac{{2, 0, 0, 0, 0, 9}}, from_mac{{2, 0, 0, 0, 0, 8}};
  const Tuple4 to4 = {IpAddress(*parse_ip("10.0.1.2")).v4_raw(), parse_ip("10.0.1.11")->v4_raw(),
                      swap16(32'768), swap16(8'080)};
  PacketSpec spec = tcp_spec("10.0.0.1:40000", "10.0.0.100:80", tcp_ack | tcp_psh, "data");
  spec.acknowledgement = 777;
  const Bytes frame = build(spec);
  ParsedPacket packet;
  ASSERT_EQ(parse(frame, packet), Verdict::none);
  Bytes out(reply_bytes_max);
  out.resize(build_reset_onward(frame, packet, to4, to_mac, from_mac, out));
  PacketSpec expected = tcp_spec("10.0.1.2:32768", "10.0.1.11:8080", tcp_rst | tcp_ack);
  expected.destination_mac = to_mac;
  expected.source_mac = from_mac;
  expected.identification = 0;
  expected.window = 0;
  expected.sequence = 1'000;
  expected.acknowledgement = 777;
  EXPECT_EQ(out, build(expected));
}

TEST(Reply, ResetOnwardWithoutAckHasNone) {
  const Bytes frame = build(tcp_spec("[fd00::1]:40000", "[fd00::64]:80", tcp_syn));
  ParsedPacket packet;
  ASSERT_EQ(parse(frame, packet), Verdict::none);
  Bytes out(reply_bytes_max);
  const Tuple6 to = {parse_ip("fd00:2::2")->bytes, parse_ip("fd00:2::b")->bytes, 1, 2};
  out.resize(build_reset_onward(frame, packet, to, {}, {}, out));
  const TcpFields fields = tcp_fields(out);
  EXPECT_EQ(fields.sequence, 1'000u);
  EXPECT_EQ(fields.acknowledgement, 0u);
  EXPECT_EQ(fields.flags, tcp_rst);
  EXPECT_EQ(test::wrong_checksums(out), "");
}

TEST(Reply, QuotesNoMoreThanFits) {
  const std::string big(1'400, 'x');
  const Bytes to4 =
      answer(build_port_unreachable, build(udp_spec("10.0.0.1:1", "10.0.0.2:2", big)));
  EXPECT_EQ(to4.size(), 14u + 576);
  EXPECT_EQ(test::wrong_checksums(to4), "");
  const Bytes to6 =
      answer(build_port_unreachable, build(udp_spec("[fd00::1]:1", "[fd00::2]:2", big)));
  EXPECT_EQ(to6.size(), reply_bytes_max);
  EXPECT_EQ(test::wrong_checksums(to6), "");
}

TEST(Reply, QuotesThePacketWithoutPadding) {
  PacketSpec spec = udp_spec("10.0.0.1:5353", "10.0.0.100:53", "hello");
  spec.frame_bytes_min = 400;
  EXPECT_EQ(answer(build_port_unreachable, build(spec)), test::udp4_unreachable);
}

TEST(Reply, RefusesABufferThatIsTooSmall) {
  const std::pair<Builder, Bytes> cases[] = {
      {build_reset_to_sender, test::tcp4_in},
      {build_reset_to_sender, test::tcp6_in},
      {build_port_unreachable, test::udp4_in},
      {build_port_unreachable, test::udp6_in},
  };
  for (const auto& [builder, frame] : cases) {
    const size_t size = answer(builder, frame).size();
    EXPECT_EQ(answer(builder, frame, size).size(), size);
    EXPECT_EQ(answer(builder, frame, size - 1).size(), 0u);
    EXPECT_EQ(answer(builder, frame, 0).size(), 0u);
  }
}

TEST(Reply, AnswersNoFragment) {
  PacketSpec spec = udp_spec("10.0.0.1:1", "10.0.0.2:2", "hello");
  spec.fragment_field = 0x2000;
  EXPECT_TRUE(answer(build_port_unreachable, build(spec)).empty());
  spec.protocol = protocol_tcp;
  EXPECT_TRUE(answer(build_reset_to_sender, build(spec)).empty());
}

}  // namespace
}  // namespace sluice::wire

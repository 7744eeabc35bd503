// A million mutated frames through parse(): it may call them what it likes, but never reads outside
// the frame, and what it accepts keeps its promises. Each frame ends at a guard page.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include "dataplane/wire/parse.h"
#include "dataplane/wire/reply.h"
#include "dataplane/wire/rewrite.h"
#include "tests/dataplane/base/test_seed.h"
#include "tests/dataplane/wire/golden.h"

namespace sluice::wire {
namespace {

using test::Bytes;

constexpr int inputs = 1'000'000;

/// Pages of which the last is not accessible; frames are laid against it.
class GuardedBuffer {
 public:
  GuardedBuffer() {
    void* pages =
        mmap(nullptr, bytes * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(pages, MAP_FAILED);
    start_ = static_cast<uint8_t*>(pages);
    EXPECT_EQ(mprotect(start_ + bytes, bytes, PROT_NONE), 0);
  }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;
  ~GuardedBuffer() { munmap(start_, bytes * 2); }

  std::span<uint8_t> lay(std::span<const uint8_t> frame) {
    uint8_t* at = start_ + bytes - frame.size();
    if (!frame.empty()) std::memcpy(at, frame.data(), frame.size());
    return {at, frame.size()};
  }

 private:
  static constexpr size_t bytes = 4'096;
  uint8_t* start_ = nullptr;
};

std::vector<Bytes> seed_frames() {
  std::vector<Bytes> frames = {test::tcp4_in, test::udp4_in,          test::tcp6_in,
                               test::udp6_in, test::udp4_unreachable, test::udp6_unreachable};
  test::PacketSpec options = test::tcp_spec("10.0.0.1:1", "10.0.0.2:2", tcp_ack, "payload");
  options.ipv4_options = {1, 1, 1, 0};
  options.tcp_options = {1, 1, 1, 0};
  frames.push_back(build(options));
  test::PacketSpec chain = test::udp_spec("[fd00::1]:1", "[fd00::2]:2", "payload");
  chain.extensions = {{0, Bytes(6, 0)}, {60, Bytes(14, 0)}, {43, Bytes(6, 0)}, {44, Bytes(6, 0)}};
  frames.push_back(build(chain));
  return frames;
}

/// Changes a few bytes, most of them in the headers, and sometimes the size.
void mutate(Bytes& frame, std::mt19937_64& random) {
  uint64_t dice = random();
  const auto draw = [&](uint64_t below) {
    const uint64_t value = dice % below;
    dice = dice / below ^ random();
    return value;
  };
  if (draw(4) == 0) frame.resize(draw(frame.size() + 1));
  if (draw(8) == 0) frame.resize(frame.size() + draw(64));
  if (frame.empty()) return;
  constexpr uint8_t interesting[] = {0,  1,  4,  5,    6,    8,    17,   43,
                                     44, 58, 60, 0x45, 0x60, 0x7f, 0x80, 0xff};
  for (uint64_t count = draw(5); count > 0; --count) {
    uint8_t& byte = frame[draw(frame.size())];
    byte =
        draw(2) == 0 ? interesting[draw(std::size(interesting))] : static_cast<uint8_t>(draw(256));
  }
}

void expect_offsets_hold(std::span<const uint8_t> frame, const ParsedPacket& packet) {
  const size_t end = size_t{packet.l3_offset} + packet.l3_bytes;
  ASSERT_EQ(packet.l3_offset, 14);
  ASSERT_LE(end, frame.size());
  ASSERT_LE(packet.l3_offset, packet.l4_offset);
  ASSERT_LE(packet.l4_offset, packet.payload_offset);
  ASSERT_LE(packet.payload_offset, end);
  if (packet.kind != PacketKind::flow) return;
  const size_t header_bytes = packet.protocol == protocol_tcp ? 20 : 8;
  ASSERT_TRUE(packet.protocol == protocol_tcp || packet.protocol == protocol_udp);
  ASSERT_GE(packet.payload_offset - packet.l4_offset, static_cast<int>(header_bytes));
}

/// The straight line for plain IPv4 says nothing that the step by step parser would not say.
void expect_both_parsers_agree(std::span<const uint8_t> frame, HeaderChecksum checksum,
                               Verdict verdict, const ParsedPacket& packet) {
  ParsedPacket other;
  ASSERT_EQ(parse_any(frame, other, checksum), verdict);
  if (verdict != Verdict::none) return;
  ASSERT_EQ(packet.kind, other.kind);
  ASSERT_EQ(packet.family, other.family);
  ASSERT_EQ(packet.protocol, other.protocol);
  ASSERT_EQ(packet.tcp_flags, other.tcp_flags);
  ASSERT_EQ(packet.l3_offset, other.l3_offset);
  ASSERT_EQ(packet.l4_offset, other.l4_offset);
  ASSERT_EQ(packet.payload_offset, other.payload_offset);
  ASSERT_EQ(packet.l3_bytes, other.l3_bytes);
  if (packet.family == Family::v4) {
    ASSERT_EQ(packet.v4, other.v4);
  } else {
    ASSERT_EQ(packet.v6, other.v6);
  }
}

/// Everything that works on an accepted packet must stay inside it, too.
void use(std::span<uint8_t> frame, const ParsedPacket& packet) {
  std::array<uint8_t, reply_bytes_max> reply;
  const size_t reset = build_reset_to_sender(frame, packet, reply);
  ASSERT_LE(reset, reply.size());
  if (reset != 0) {
    ASSERT_EQ(test::wrong_checksums({reply.data(), reset}), "");
  }
  const size_t unreachable = build_port_unreachable(frame, packet, reply);
  ASSERT_LE(unreachable, reply.size());
  if (hop_limit(frame, packet) <= 1) return;
  if (packet.family == Family::v4) {
    rewrite(frame, packet, Tuple4{1, 2, 3, 4});
  } else {
    rewrite(frame, packet, Tuple6{{1}, {2}, 3, 4});
  }
  ParsedPacket again;
  // With the trust of a device, as the header checksum may have been wrong before.
  ASSERT_EQ(parse(frame, again, HeaderChecksum::verified), Verdict::none);
  ASSERT_EQ(again.payload_offset, packet.payload_offset);
}

TEST(ParseMutation, MillionFramesKeepTheirPromises) {
  auto random = test::test_random();
  const std::vector<Bytes> seeds = seed_frames();
  GuardedBuffer buffer;
  std::array<uint64_t, verdict_count> verdicts{};
  ParsedPacket packet;
  for (int i = 0; i < inputs; ++i) {
    Bytes mutant = seeds[random() % seeds.size()];
    mutate(mutant, random);
    const std::span<uint8_t> frame = buffer.lay(mutant);
    // Most mutants would fail the header checksum alone; half are parsed as if a device vouched.
    const auto checksum = i % 2 == 0 ? HeaderChecksum::verified : HeaderChecksum::verify;
    const Verdict verdict = parse(frame, packet, checksum);
    ++verdicts[static_cast<size_t>(verdict)];
    ASSERT_LT(static_cast<size_t>(verdict), verdict_count);
    ASSERT_NO_FATAL_FAILURE(expect_both_parsers_agree(frame, checksum, verdict, packet)) << i;
    if (verdict != Verdict::none) continue;
    ASSERT_NO_FATAL_FAILURE(expect_offsets_hold(frame, packet)) << i;
    if (packet.kind == PacketKind::flow && i % 4 == 0) {
      ASSERT_NO_FATAL_FAILURE(use(frame, packet)) << i;
    }
  }
  // The mutants reach every verdict that parse() can give.
  for (const Verdict verdict :
       {Verdict::none, Verdict::not_ip, Verdict::icmp, Verdict::other_protocol,
        Verdict::short_frame, Verdict::bad_ipv4_header, Verdict::bad_ipv4_checksum,
        Verdict::bad_ipv6_header, Verdict::bad_tcp_header, Verdict::bad_udp_header,
        Verdict::bad_source}) {
    EXPECT_GT(verdicts[static_cast<size_t>(verdict)], 100u) << verdict_name(verdict);
  }
}

}  // namespace
}  // namespace sluice::wire

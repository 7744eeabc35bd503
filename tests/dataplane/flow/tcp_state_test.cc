#include "dataplane/flow/tcp_state.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "dataplane/wire/parse.h"

namespace sluice::flow {
namespace {

using enum FlowState;
using wire::tcp_ack;
using wire::tcp_fin;
using wire::tcp_psh;
using wire::tcp_rst;

constexpr uint8_t syn = wire::tcp_syn;  // tcp_syn is also a state

/// One connection walked through segments.
class Walk {
 public:
  explicit Walk(FlowState state = FlowState::tcp_syn) { track_.state = state; }

  Lifecycle client(uint8_t flags, bool payload = false) {
    return apply({Direction::from_client, flags, payload});
  }
  Lifecycle backend(uint8_t flags, bool payload = false) {
    return apply({Direction::from_backend, flags, payload});
  }
  Walk& wait(uint32_t ticks) {
    now_tick_ += ticks;
    return *this;
  }
  Walk& establish() {
    client(syn);
    backend(syn | tcp_ack);
    client(tcp_ack);
    return *this;
  }
  FlowState state() const { return track_.state; }
  bool active() const { return (track_.flags & counted_ended) == 0; }

 private:
  Lifecycle apply(const Segment& segment) {
    const bool was_active = active();
    const TcpStep step = advance(track_, segment, now_tick_);
    track_ = step.track;
    EXPECT_EQ(step.lifecycle == Lifecycle::ended, was_active && !active());
    EXPECT_EQ(step.lifecycle == Lifecycle::revived, !was_active && active());
    return step.lifecycle;
  }

  TcpTrack track_;
  uint32_t now_tick_ = 0xffff'fffa;  // the 16-bit RST tick wraps at once
};

TEST(TcpState, HandshakeEstablishes) {
  Walk walk;
  walk.client(syn);
  EXPECT_EQ(walk.state(), FlowState::tcp_syn);
  walk.backend(syn | tcp_ack);
  EXPECT_EQ(walk.state(), FlowState::tcp_syn);
  walk.client(tcp_ack);
  EXPECT_EQ(walk.state(), tcp_established);
  EXPECT_TRUE(walk.active());
}

TEST(TcpState, DataWithTheThirdSegmentEstablishes) {
  Walk walk;
  walk.backend(syn | tcp_ack);
  walk.client(tcp_psh | tcp_ack, true);
  EXPECT_EQ(walk.state(), tcp_established);
}

TEST(TcpState, NothingButTheHandshakeEstablishes) {
  Walk walk;
  walk.client(syn);
  walk.client(syn);
  walk.client(tcp_ack, true);
  walk.client(tcp_fin | tcp_ack);
  walk.backend(tcp_ack, true);
  walk.backend(tcp_fin | tcp_ack);
  EXPECT_EQ(walk.state(), FlowState::tcp_syn);
  walk.backend(syn | tcp_ack);
  walk.backend(tcp_ack);
  walk.client(syn);
  EXPECT_EQ(walk.state(), FlowState::tcp_syn);
}

TEST(TcpState, ClosesWhenTheSecondFinIsAcknowledged) {
  Walk walk;
  walk.establish();
  walk.client(tcp_fin | tcp_ack);
  EXPECT_EQ(walk.state(), tcp_closing);
  walk.backend(tcp_ack);
  walk.backend(tcp_psh | tcp_ack, true);  // a half-closed connection still carries data
  walk.client(tcp_ack);
  EXPECT_EQ(walk.state(), tcp_closing);
  walk.backend(tcp_fin | tcp_ack);
  EXPECT_EQ(walk.state(), tcp_closing);
  walk.backend(tcp_ack);  // the sender of the second FIN acknowledges nothing that matters
  EXPECT_EQ(walk.state(), tcp_closing);
  EXPECT_EQ(walk.client(tcp_ack), Lifecycle::ended);
  EXPECT_EQ(walk.state(), tcp_closed);
}

TEST(TcpState, BackendMayCloseFirst) {
  Walk walk;
  walk.establish();
  walk.backend(tcp_fin | tcp_ack);
  walk.client(tcp_ack);
  walk.client(tcp_fin | tcp_ack);
  walk.client(tcp_fin | tcp_ack);  // sent again
  EXPECT_EQ(walk.state(), tcp_closing);
  EXPECT_EQ(walk.backend(tcp_ack), Lifecycle::ended);
}

TEST(TcpState, SimultaneousCloseEnds) {
  Walk walk;
  walk.establish();
  walk.client(tcp_fin | tcp_ack);
  walk.backend(tcp_fin | tcp_ack);
  EXPECT_EQ(walk.client(tcp_ack), Lifecycle::ended);
  EXPECT_EQ(walk.backend(tcp_ack), Lifecycle::same);
}

TEST(TcpState, FinInTheThirdSegmentCloses) {
  Walk walk;
  walk.client(syn);
  walk.backend(syn | tcp_ack);
  walk.client(tcp_fin | tcp_ack);
  EXPECT_EQ(walk.state(), tcp_closing);
}

TEST(TcpState, RstEndsOnceFromEveryLivingState) {
  for (const FlowState state : {FlowState::tcp_syn, tcp_established, tcp_closing}) {
    for (const Direction direction : {Direction::from_client, Direction::from_backend}) {
      Walk walk(state);
      const auto rst = [&] {
        return direction == Direction::from_client ? walk.client(tcp_rst)
                                                   : walk.backend(tcp_rst | tcp_ack);
      };
      EXPECT_EQ(rst(), Lifecycle::ended);
      EXPECT_EQ(walk.state(), tcp_closed);
      EXPECT_EQ(rst(), Lifecycle::same);
      EXPECT_EQ(walk.state(), tcp_closed);
    }
  }
}

TEST(TcpState, DataFromTheSideOfAForgedRstRevives) {
  Walk walk;
  walk.establish();
  walk.client(tcp_rst);
  EXPECT_EQ(walk.client(tcp_ack), Lifecycle::same);  // could be an acknowledgement overtaken
  EXPECT_EQ(walk.client(tcp_psh | tcp_ack, true), Lifecycle::revived);
  EXPECT_EQ(walk.state(), tcp_established);
  EXPECT_EQ(walk.backend(tcp_rst), Lifecycle::ended);
  EXPECT_EQ(walk.backend(tcp_ack, true), Lifecycle::revived);
}

TEST(TcpState, DataInFlightDoesNotReviveButLaterDataDoes) {
  Walk walk;
  walk.establish();
  walk.client(tcp_rst);
  EXPECT_EQ(walk.backend(tcp_ack, true), Lifecycle::same);
  EXPECT_EQ(walk.wait(rst_in_flight_ticks - 1).backend(tcp_ack, true), Lifecycle::same);
  EXPECT_EQ(walk.wait(1).backend(tcp_ack, true), Lifecycle::revived);
  EXPECT_EQ(walk.state(), tcp_established);
}

TEST(TcpState, RevivalRemembersTheFins) {
  Walk walk;
  walk.establish();
  walk.client(tcp_fin | tcp_ack);
  walk.backend(tcp_rst);
  EXPECT_EQ(walk.backend(tcp_ack, true), Lifecycle::revived);
  EXPECT_EQ(walk.state(), tcp_closing);
  walk.backend(tcp_fin | tcp_ack);
  EXPECT_EQ(walk.client(tcp_ack), Lifecycle::ended);
}

TEST(TcpState, DataWithoutAckOrOnAConnectionClosedByFinsRevivesNothing) {
  Walk by_rst;
  by_rst.establish();
  by_rst.client(tcp_rst);
  EXPECT_EQ(by_rst.client(tcp_psh, true), Lifecycle::same);
  Walk by_fins;
  by_fins.establish();
  by_fins.client(tcp_fin | tcp_ack);
  by_fins.backend(tcp_fin | tcp_ack);
  by_fins.client(tcp_ack);
  by_fins.wait(100);
  EXPECT_EQ(by_fins.client(tcp_ack, true), Lifecycle::same);
  EXPECT_EQ(by_fins.client(tcp_rst), Lifecycle::same);
  EXPECT_EQ(by_fins.client(tcp_ack, true), Lifecycle::same);
  EXPECT_EQ(by_fins.state(), tcp_closed);
}

TEST(TcpState, SynInsideAnEstablishedConnectionChangesNothing) {
  Walk walk;
  walk.establish();
  EXPECT_EQ(walk.client(syn), Lifecycle::same);
  EXPECT_EQ(walk.backend(syn | tcp_ack), Lifecycle::same);
  EXPECT_EQ(walk.state(), tcp_established);
}

/// Whatever comes, only the moves of the table in tcp_state.h happen.
TEST(TcpState, ForbiddenMovesNeverHappen) {
  const auto allowed = [](FlowState from, FlowState to) {
    if (from == to) return true;
    switch (from) {
      case FlowState::tcp_syn:  // closing by way of established: a FIN in the third segment
        return to == tcp_established || to == tcp_closing || to == tcp_closed;
      case tcp_established:
        return to == tcp_closing || to == tcp_closed;
      case tcp_closing:
        return to == tcp_closed;
      case tcp_closed:
        return to == tcp_established || to == tcp_closing;
      default:
        return false;
    }
  };
  for (const FlowState state :
       {FlowState::tcp_syn, tcp_established, tcp_closing, tcp_closed, FlowState::reset}) {
    for (unsigned track_flags = 0; track_flags < 128; ++track_flags) {
      for (unsigned bits = 0; bits < 256 * 4; ++bits) {
        const TcpTrack track{state, static_cast<uint8_t>(track_flags), 0};
        const Segment segment{bits & 256 ? Direction::from_backend : Direction::from_client,
                              static_cast<uint8_t>(bits), (bits & 512) != 0};
        const TcpStep step = advance(track, segment, 30);
        ASSERT_TRUE(allowed(state, step.track.state));
        const bool plain = (segment.tcp_flags & state_changing_flags) == 0;
        const bool closed_by_fins = state == tcp_closed && (track_flags & saw_rst) == 0;
        if (state == FlowState::reset || closed_by_fins || (state == tcp_established && plain)) {
          ASSERT_EQ(step.track, track);
        }
      }
    }
  }
}

TEST(TcpState, EveryStateHasItsTimeoutAndClass) {
  const model::Timeouts timeouts{.tcp_syn = 1,
                                 .tcp_established = 2,
                                 .tcp_closing = 3,
                                 .tcp_closed = 4,
                                 .udp_new = 5,
                                 .udp_established = 6};
  EXPECT_EQ(timeout_ticks(FlowState::tcp_syn, timeouts), 1u);
  EXPECT_EQ(timeout_ticks(tcp_established, timeouts), 2u);
  EXPECT_EQ(timeout_ticks(tcp_closing, timeouts), 3u);
  EXPECT_EQ(timeout_ticks(tcp_closed, timeouts), 4u);
  EXPECT_EQ(timeout_ticks(FlowState::reset, timeouts), 4u);
  EXPECT_EQ(timeout_ticks(udp_new, timeouts), 5u);
  EXPECT_EQ(timeout_ticks(udp_established, timeouts), 6u);
  EXPECT_EQ(timeout_ticks(udp_new, {.udp_new = 0}), 1u);
  EXPECT_EQ(timeout_ticks(udp_new, {.udp_new = 0xffff'ffff}), timeout_ticks_max);

  EXPECT_EQ(class_of(FlowState::tcp_syn), FlowClass::embryonic);
  EXPECT_EQ(class_of(udp_new), FlowClass::embryonic);
  EXPECT_EQ(class_of(tcp_closing), FlowClass::closing);
  EXPECT_EQ(class_of(tcp_closed), FlowClass::ended);
  EXPECT_EQ(class_of(FlowState::reset), FlowClass::ended);
  EXPECT_EQ(class_of(tcp_established), FlowClass::established);
  EXPECT_EQ(class_of(udp_established), FlowClass::established);
}

TEST(TcpState, SynReusesOnlyWhatIsEnding) {
  EXPECT_TRUE(reusable_by_syn(tcp_closing));
  EXPECT_TRUE(reusable_by_syn(tcp_closed));
  EXPECT_TRUE(reusable_by_syn(FlowState::reset));
  EXPECT_FALSE(reusable_by_syn(FlowState::tcp_syn));
  EXPECT_FALSE(reusable_by_syn(tcp_established));
}

}  // namespace
}  // namespace sluice::flow

#include "dataplane/model/listener_index.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/dataplane/base/test_seed.h"

namespace sluice::model {
namespace {

Listener listener(std::string_view address, uint8_t protocol, uint16_t first, uint16_t last) {
  Listener result;
  result.protocol = protocol;
  result.address = parse_ip(address).value();
  result.port_first = first;
  result.port_last = last;
  return result;
}

int32_t find(const ListenerIndex& index, std::string_view address, uint16_t port,
             uint8_t protocol) {
  const IpAddress ip = parse_ip(address).value();
  if (ip.family == Family::v4) return index.find(Tuple4{1, ip.v4_raw(), 2, swap16(port)}, protocol);
  return index.find(Tuple6{{1}, ip.bytes, 2, swap16(port)}, protocol);
}

TEST(ListenerIndex, FindsExactPortsAndRanges) {
  const std::vector<Listener> listeners = {
      listener("10.0.0.100", protocol_tcp, 80, 80),
      listener("10.0.0.100", protocol_udp, 80, 80),
      listener("10.0.0.100", protocol_tcp, 1'000, 1'999),
      listener("10.0.0.100", protocol_tcp, 3'000, 65'535),
      listener("10.0.0.100", protocol_udp, 0, 52),
      listener("10.0.0.101", protocol_tcp, 80, 80),
      listener("fd00::64", protocol_tcp, 80, 80),
      listener("fd00::64", protocol_udp, 5'000, 5'001),
  };
  const auto index = ListenerIndex::build(listeners);
  struct Case {
    const char* address;
    uint16_t port;
    uint8_t protocol;
    int32_t expected;
  };
  const Case cases[] = {
      {"10.0.0.100", 80, protocol_tcp, 0},
      {"10.0.0.100", 80, protocol_udp, 1},
      {"10.0.0.100", 81, protocol_tcp, -1},
      {"10.0.0.100", 999, protocol_tcp, -1},
      {"10.0.0.100", 1'000, protocol_tcp, 2},
      {"10.0.0.100", 1'999, protocol_tcp, 2},
      {"10.0.0.100", 2'000, protocol_tcp, -1},
      {"10.0.0.100", 1'500, protocol_udp, -1},
      {"10.0.0.100", 2'999, protocol_tcp, -1},
      {"10.0.0.100", 3'000, protocol_tcp, 3},
      {"10.0.0.100", 65'535, protocol_tcp, 3},
      {"10.0.0.100", 0, protocol_udp, 4},
      {"10.0.0.100", 52, protocol_udp, 4},
      {"10.0.0.100", 53, protocol_udp, -1},
      {"10.0.0.100", 0, protocol_tcp, -1},
      {"10.0.0.101", 80, protocol_tcp, 5},
      {"10.0.0.101", 1'500, protocol_tcp, -1},
      {"10.0.0.102", 80, protocol_tcp, -1},
      {"fd00::64", 80, protocol_tcp, 6},
      {"fd00::64", 80, protocol_udp, -1},
      {"fd00::64", 5'000, protocol_udp, 7},
      {"fd00::64", 5'001, protocol_udp, 7},
      {"fd00::64", 5'002, protocol_udp, -1},
      {"fd00::65", 80, protocol_tcp, -1},
      {"10.0.0.100", 80, 132, -1},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(find(*index, each.address, each.port, each.protocol), each.expected)
        << each.address << " " << each.port << " " << int{each.protocol};
  }
}

TEST(ListenerIndex, KnowsVirtualAddresses) {
  const std::vector<Listener> listeners = {listener("10.0.0.100", protocol_tcp, 1, 9),
                                           listener("fd00::64", protocol_udp, 53, 53)};
  const auto index = ListenerIndex::build(listeners);
  EXPECT_TRUE(index->is_virtual(parse_ip("10.0.0.100")->v4_raw()));
  EXPECT_FALSE(index->is_virtual(parse_ip("10.0.0.101")->v4_raw()));
  EXPECT_FALSE(index->is_virtual(uint32_t{0}));
  EXPECT_TRUE(index->is_virtual(parse_ip("fd00::64")->bytes));
  EXPECT_FALSE(index->is_virtual(parse_ip("fd00::65")->bytes));
  EXPECT_FALSE(index->is_virtual(std::array<uint8_t, 16>{}));
}

TEST(ListenerIndex, WithoutListenersFindsNothing) {
  const auto index = ListenerIndex::build({});
  EXPECT_EQ(find(*index, "0.0.0.0", 0, 0), no_listener);
  EXPECT_EQ(find(*index, "::", 0, 0), no_listener);
  EXPECT_FALSE(index->is_virtual(uint32_t{0}));
}

/// The oracle: every listener in turn.
int32_t search(std::span<const Listener> listeners, const IpAddress& address, uint16_t port,
               uint8_t protocol) {
  for (size_t i = 0; i < listeners.size(); ++i) {
    const Listener& each = listeners[i];
    if (each.address == address && each.protocol == protocol && each.port_first <= port &&
        port <= each.port_last) {
      return static_cast<int32_t>(i);
    }
  }
  return no_listener;
}

TEST(ListenerIndex, AgreesWithASearchThroughAll) {
  auto random = test::test_random();
  const auto random_address = [&] {
    const bool is_v4 = random() % 2 == 0;
    const std::string host = std::to_string(random() % 20);
    return parse_ip((is_v4 ? "10.0.0." : "fd00::") + host).value();
  };
  std::vector<Listener> listeners;
  while (listeners.size() < 600) {
    Listener next;
    next.address = random_address();
    next.protocol = random() % 2 == 0 ? protocol_tcp : protocol_udp;
    next.port_first = static_cast<uint16_t>(random() % 500);
    next.port_last =
        static_cast<uint16_t>(next.port_first + (random() % 3 == 0 ? random() % 9 : 0));
    bool overlaps = false;
    for (uint32_t port = next.port_first; port <= next.port_last; ++port) {
      overlaps |= search(listeners, next.address, static_cast<uint16_t>(port), next.protocol) >= 0;
    }
    if (!overlaps) listeners.push_back(next);
  }
  const auto index = ListenerIndex::build(listeners);
  int found = 0;
  for (int i = 0; i < 100'000; ++i) {
    const IpAddress address = random_address();
    const auto port = static_cast<uint16_t>(random() % 510);
    const uint8_t protocol = random() % 2 == 0 ? protocol_tcp : protocol_udp;
    const int32_t expected = search(listeners, address, port, protocol);
    ASSERT_EQ(find(*index, to_string(address), port, protocol), expected);
    found += expected != no_listener;
  }
  EXPECT_GT(found, 1'000);
}

}  // namespace
}  // namespace sluice::model

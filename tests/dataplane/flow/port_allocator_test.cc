#include "dataplane/flow/port_allocator.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

#include "dataplane/model/snapshot.h"
#include "tests/dataplane/flow/support.h"

namespace sluice::flow {
namespace {

/// What ctrl allows on a usual Linux: all but the privileged and the kernel's own.
model::SnatPortSet usual_ports() {
  model::SnatPortSet ports(1024);
  for (uint32_t port = 1024; port < 65'536; ++port) {
    if (port < 32'768 || port > 60'999) ports[port / 64] |= uint64_t{1} << port % 64;
  }
  return ports;
}

bool is_usual(uint16_t port_raw) {
  const uint16_t port = swap16(port_raw);
  return port >= 1024 && (port < 32'768 || port > 60'999);
}

template <typename Tuple>
class PortAllocatorTest : public testing::Test {
 protected:
  using Allocator = PortAllocator<Tuple>;
  std::unique_ptr<Allocator> allocator(const Owner& owner, unsigned worker) {
    return std::make_unique<Allocator>(owner, worker, usual_ports(), random_());
  }
  Random random_{test_seed()};
  wire::Toeplitz toeplitz_{wire::microsoft_rss_key};
};

using Families = testing::Types<Tuple4, Tuple6>;
TYPED_TEST_SUITE(PortAllocatorTest, Families);

TYPED_TEST(PortAllocatorTest, RepliesComeBackToTheWorkerThatAsked) {
  for (const unsigned workers : {1u, 2u, 3u, 4u, 7u, 16u}) {
    for (const size_t entries : {size_t{128}, size_t{256}, size_t{512}}) {
      std::vector<uint16_t> reta(entries);
      for (size_t i = 0; i < entries; ++i) reta[i] = static_cast<uint16_t>(i % workers);
      const Owner owner(this->toeplitz_, reta, workers);
      for (unsigned worker = 0; worker < workers; ++worker) {
        const auto allocator = this->allocator(owner, worker);
        EXPECT_EQ(allocator->size(), 36'280u);
        for (int flow = 0; flow < 50; ++flow) {
          auto reply = random_tuple<TypeParam>(this->random_);
          auto candidates = allocator->candidates(reply);
          for (unsigned i = 0; i < PortAllocator<TypeParam>::tries_max; ++i) {
            reply.destination_port = candidates.next();
            ASSERT_NE(reply.destination_port, 0);
            ASSERT_TRUE(is_usual(reply.destination_port));
            ASSERT_EQ(owner.owner(reply), worker);
          }
          ASSERT_EQ(candidates.next(), 0);  // tries used up
        }
      }
    }
  }
}

TYPED_TEST(PortAllocatorTest, TheWorkersShareOutEveryAllowedPort) {
  constexpr unsigned workers = 4;
  const Owner owner(this->toeplitz_, workers);
  const auto reply = random_tuple<TypeParam>(this->random_);
  std::set<uint16_t> all;
  for (unsigned worker = 0; worker < workers; ++worker) {
    const auto allocator = this->allocator(owner, worker);
    std::set<uint16_t> own;
    for (int flow = 0; flow < 600; ++flow) {
      auto candidates = allocator->candidates(reply);
      while (const uint16_t port = candidates.next()) own.insert(port);
    }
    EXPECT_GT(own.size(), 36'280u / workers / 2);
    for (const uint16_t port : own) EXPECT_TRUE(all.insert(port).second) << "given to two workers";
  }
  EXPECT_EQ(all.size(), 36'280u);
}

TYPED_TEST(PortAllocatorTest, AFreePortIsFoundAtOnceWhileFewAreTaken) {
  const Owner owner(this->toeplitz_, 2);
  const auto allocator = this->allocator(owner, 1);
  const auto reply = random_tuple<TypeParam>(this->random_);
  std::set<uint16_t> taken;
  unsigned tries = 0;
  for (int flow = 0; flow < 9'000; ++flow) {  // half of the worker's own
    auto candidates = allocator->candidates(reply);
    uint16_t port = 0;
    do {
      port = candidates.next();
      ++tries;
      ASSERT_NE(port, 0);
    } while (!taken.insert(port).second);
  }
  EXPECT_EQ(tries, 9'000u);  // the rotor meets no port twice before it has been round
}

TYPED_TEST(PortAllocatorTest, ReusesAPortAsLateAsPossible) {
  const Owner owner(this->toeplitz_, 1);
  const auto allocator = this->allocator(owner, 0);
  const auto reply = random_tuple<TypeParam>(this->random_);
  std::set<uint16_t> seen;
  for (int flow = 0; flow < 30'000; ++flow) {
    ASSERT_TRUE(seen.insert(allocator->candidates(reply).next()).second) << "after " << flow;
  }
}

TYPED_TEST(PortAllocatorTest, NothingAllowedGivesNothing) {
  const Owner owner(this->toeplitz_, 2);
  const auto allocator =
      std::make_unique<PortAllocator<TypeParam>>(owner, 0, model::SnatPortSet{}, 1);
  EXPECT_EQ(allocator->candidates(random_tuple<TypeParam>(this->random_)).next(), 0);
  const model::SnatPortSet only_port_0{1};
  const auto zero = std::make_unique<PortAllocator<TypeParam>>(owner, 0, only_port_0, 1);
  EXPECT_EQ(zero->size(), 0u);
}

TYPED_TEST(PortAllocatorTest, ASingleAllowedPortGoesToItsOwnerOnly) {
  const Owner owner(this->toeplitz_, 3);
  model::SnatPortSet ports(1024);
  ports[2000 / 64] |= uint64_t{1} << 2000 % 64;
  auto reply = random_tuple<TypeParam>(this->random_);
  reply.destination_port = swap16(2000);
  for (unsigned worker = 0; worker < 3; ++worker) {
    const auto allocator = std::make_unique<PortAllocator<TypeParam>>(owner, worker, ports, 1);
    EXPECT_EQ(allocator->candidates(reply).next(),
              owner.owner(reply) == worker ? reply.destination_port : 0);
  }
}

TYPED_TEST(PortAllocatorTest, SeedsGiveDifferentOrders) {
  const Owner owner(this->toeplitz_, 1);
  const auto reply = random_tuple<TypeParam>(this->random_);
  const auto first_ports = [&](uint64_t seed) {
    PortAllocator<TypeParam> allocator(owner, 0, usual_ports(), seed);
    std::vector<uint16_t> ports(32);
    for (uint16_t& port : ports) port = allocator.candidates(reply).next();
    return ports;
  };
  EXPECT_EQ(first_ports(1), first_ports(1));
  EXPECT_NE(first_ports(1), first_ports(2));
}

TEST(Owner, DefaultTableIsSharedOutEvenly) {
  const wire::Toeplitz toeplitz(wire::microsoft_rss_key);
  const Owner owner(toeplitz, 4);
  Random random(test_seed());
  std::array<int, 4> tuples{};
  for (int i = 0; i < 40'000; ++i) ++tuples[owner.owner(random_tuple<Tuple4>(random))];
  for (const int count : tuples) EXPECT_NEAR(count, 10'000, 500);
}

TEST(Owner, OneWorkerOwnsEverything) {
  const wire::Toeplitz toeplitz(wire::microsoft_rss_key);
  const Owner owner(toeplitz, 1);
  Random random(test_seed());
  EXPECT_EQ(owner.owner(random_tuple<Tuple6>(random)), 0u);
}

}  // namespace
}  // namespace sluice::flow

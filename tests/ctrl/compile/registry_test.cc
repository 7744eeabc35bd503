#include "ctrl/compile/registry.h"

#include <gtest/gtest.h>

#include "ctrl/compile/identities.h"
#include "tests/ctrl/compile/lab.h"

namespace sluice::ctrl {
namespace {

const BackendKey blue{"blue", endpoint("10.0.1.1:80")};
const BackendKey green{"green", endpoint("10.0.1.1:80")};  // the same machine in another pool
const RefKey ref_key{"orders", 0, "blue"};

TEST(Registry, TheSameKeyIsTheSameIdentity) {
  Registry registry;
  const BackendIdentity first = registry.backend(blue).value();
  EXPECT_EQ(registry.backend(blue)->id, first.id);
  EXPECT_NE(registry.backend(green)->id, first.id);
  EXPECT_EQ(first.incarnation, 1u);
  EXPECT_EQ(registry.ref(ref_key).value(), registry.ref(ref_key).value());
  EXPECT_NE(registry.ref(ref_key).value(), registry.ref({"orders", 1, "blue"}).value());
}

TEST(Registry, FindsBothWays) {
  Registry registry;
  const uint16_t id = registry.backend(blue)->id;
  const uint16_t ref = registry.ref(ref_key).value();
  EXPECT_EQ(registry.find_backend(id)->key, blue);
  EXPECT_EQ(registry.find_backend(blue)->id, id);
  EXPECT_EQ(*registry.find_ref(ref), ref_key);
  EXPECT_EQ(*registry.find_ref(ref_key), ref);
  EXPECT_FALSE(registry.find_backend(green));
  EXPECT_FALSE(registry.find_backend(uint16_t{77}));
  EXPECT_FALSE(registry.find_backend(model::no_backend));
  EXPECT_FALSE(registry.find_ref(RefKey{"orders", 9, "blue"}));
  EXPECT_FALSE(registry.find_ref(uint16_t{77}));
}

TEST(Registry, ConfiguredIdentitiesAreNotReleased) {
  Registry registry;
  const uint16_t id = registry.backend(blue)->id;
  const uint16_t ref = registry.ref(ref_key).value();
  registry.release_backend(id);
  registry.release_ref(ref);
  EXPECT_TRUE(registry.find_backend(id));
  EXPECT_TRUE(registry.find_ref(ref));
}

TEST(Registry, WhatLeftTheConfigurationLingersUntilReleased) {
  Registry registry;
  const uint16_t id = registry.backend(blue)->id;
  const uint16_t ref = registry.ref(ref_key).value();
  registry.begin_configuration();
  ASSERT_TRUE(registry.backend(green));
  ASSERT_EQ(registry.lingering().size(), 1u);
  EXPECT_EQ(registry.lingering()[0].key, blue);
  EXPECT_FALSE(registry.lingering()[0].in_config);
  EXPECT_EQ(registry.lingering_refs(), std::vector<uint16_t>{ref});
  registry.release_backend(id);
  registry.release_ref(ref);
  EXPECT_TRUE(registry.lingering().empty());
  EXPECT_TRUE(registry.lingering_refs().empty());
  EXPECT_FALSE(registry.find_backend(blue));
  registry.release_backend(id);  // a second time does nothing
  registry.release_backend(60'000);
  registry.release_ref(60'000);
  EXPECT_EQ(registry.backends_available(), model::backends_max - 1);
}

TEST(Registry, ARecycledIdIsANewIncarnation) {
  Registry registry;
  const BackendIdentity first = registry.backend(blue).value();
  registry.begin_configuration();
  registry.release_backend(first.id);
  // Ids never used come first, so that counters of a recycled one are met as late as possible.
  BackendIdentity last = registry.backend({"fill", {ip("10.1.0.0"), 1}}).value();
  uint32_t given = 1;
  for (; last.id != first.id && given < model::backends_max; ++given) {
    last = registry.backend({"fill", {ip("10.1.0.0"), uint16_t(given + 1)}}).value();
  }
  EXPECT_EQ(given, uint32_t{model::backends_max});
  EXPECT_EQ(last.id, first.id);
  EXPECT_EQ(last.incarnation, first.incarnation + 1);
  const auto none = registry.backend(blue);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message,
            "pool blue: no identity is left for backend 10.0.1.1:80, all 65535 are in use");
}

TEST(Registry, IdsNeverReachTheOneThatMeansNone) {
  Registry registry;
  for (uint32_t i = 0; i < model::backends_max; ++i) {
    const auto identity = registry.backend({"fill", {ip("10.1.0.0"), uint16_t(i)}});
    ASSERT_TRUE(identity);
    ASSERT_NE(identity->id, model::no_backend);
  }
  EXPECT_EQ(registry.backends_available(), 0u);
}

TEST(Registry, RefsRunOut) {
  Registry registry;
  for (uint32_t i = 0; i < model::refs_max; ++i) {
    ASSERT_EQ(registry.ref({"orders", i, "blue"}).value(), i);
  }
  const auto none = registry.ref({"orders", model::refs_max, "blue"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message,
            "route orders rule 16384: no counter is left for pool blue, all 16384 are in use");
}

TEST(Identities, AreClaimedAllOrNone) {
  Registry registry;
  const Config config = parse_good(lab_toml);
  ASSERT_TRUE(claim_identities(config, registry));
  const auto refs = registry.refs();
  Config large = config;
  for (uint32_t i = 0; i < model::backends_max - 5; ++i) {
    large.pools[1].backends.push_back(
        {.address = IpAddress::from_v4_raw(swap32(0x0b000000 + i)), .port = 80, .zone = ""});
  }
  large.routes[0].rules.clear();
  const auto claimed = claim_identities(large, registry);
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().message,
            "no identity is left for pool v2 backend 11.0.255.248:80: the configuration needs "
            "65537, and 0 of 65535 are held by what it removes until its connections end");
  EXPECT_EQ(registry.refs(), refs);
  EXPECT_TRUE(registry.lingering().empty());
  EXPECT_TRUE(registry.lingering_refs().empty());
  EXPECT_EQ(registry.backends_available(), model::backends_max - 7);
}

TEST(Identities, LingeringOnesCountAgainstTheLimit) {
  Registry registry;
  Config config = parse_good(lab_toml);
  for (uint32_t i = 0; i < model::refs_max / 2; ++i) {
    ASSERT_TRUE(registry.ref({"gone", i, "v1"}));
  }
  config.routes[0].rules.resize(model::refs_max / 2, config.routes[0].rules[0]);
  const auto claimed = claim_identities(config, registry);
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().message,
            "no counter is left for route orders rule 8191 pool v2: the configuration needs 8195, "
            "and 8192 of 16384 are held by what it removes until its connections end");
  registry.begin_configuration();
  for (const uint16_t ref : registry.lingering_refs()) registry.release_ref(ref);
  EXPECT_TRUE(claim_identities(config, registry));
}

}  // namespace
}  // namespace sluice::ctrl

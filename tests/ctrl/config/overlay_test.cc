#include <gtest/gtest.h>

#include "ctrl/config/config.h"

namespace sluice::ctrl {
namespace {

class OverlayTest : public testing::Test {
 protected:
  OverlayTest() {
    PoolConfig pool;
    pool.name = "v1";
    pool.backends = {backend("10.0.1.11"), backend("10.0.1.12")};
    config_.pools.push_back(pool);
    pool.name = "v2";
    config_.pools.push_back(pool);
    RouteConfig route{.name = "orders", .listeners = {}, .rules = {}};
    route.rules.push_back({{}, {{"v1", 95}, {"v2", 5}}});
    config_.routes.push_back(route);
  }

  static BackendConfig backend(std::string_view address) {
    BackendConfig backend;
    backend.address = parse_ip(address).value();
    backend.port = 80;
    return backend;
  }

  std::string refusal() {
    const auto result = apply_overlay(config_, overlay_);
    return result ? "" : result.error().message;
  }

  Config config_;
  Overlay overlay_;
};

TEST_F(OverlayTest, AnEmptyOneChangesNothing) {
  EXPECT_EQ(apply_overlay(config_, overlay_).value(), config_);
}

TEST_F(OverlayTest, SetsTheWeightsItNames) {
  overlay_.weights["orders"][0]["v2"] = 50;
  const Config changed = apply_overlay(config_, overlay_).value();
  EXPECT_EQ(changed.routes[0].rules[0].backends,
            (std::vector<PoolRefConfig>{{"v1", 95}, {"v2", 50}}));
}

TEST_F(OverlayTest, AllZeroIsAllowedAtRunTime) {
  overlay_.weights["orders"][0] = {{"v1", 0}, {"v2", 0}};
  EXPECT_TRUE(apply_overlay(config_, overlay_));
}

TEST_F(OverlayTest, DrainsOneBackendOfOnePool) {
  overlay_.drained["v2"] = {parse_endpoint("10.0.1.12:80").value()};
  const Config changed = apply_overlay(config_, overlay_).value();
  EXPECT_FALSE(changed.pools[0].backends[1].drained);
  EXPECT_FALSE(changed.pools[1].backends[0].drained);
  EXPECT_TRUE(changed.pools[1].backends[1].drained);
}

TEST_F(OverlayTest, NoEndpointsMeanTheWholePool) {
  overlay_.drained["v1"] = {};
  const Config changed = apply_overlay(config_, overlay_).value();
  EXPECT_TRUE(changed.pools[0].backends[0].drained);
  EXPECT_TRUE(changed.pools[0].backends[1].drained);
  EXPECT_FALSE(changed.pools[1].backends[0].drained);
}

TEST_F(OverlayTest, NamesWhatIsNotThere) {
  overlay_.weights["order"][0]["v2"] = 1;
  EXPECT_EQ(refusal(), "there is no route \"order\"");
  overlay_.weights = {{"orders", {{1, {{"v2", 1}}}}}};
  EXPECT_EQ(refusal(), "route \"orders\" has no rule 1, its rules are 0..0");
  overlay_.weights = {{"orders", {{0, {{"v3", 1}}}}}};
  EXPECT_EQ(refusal(), "route \"orders\" rule 0 has no pool \"v3\"");
  overlay_.weights = {{"orders", {{0, {{"v2", 1'000'001}}}}}};
  EXPECT_EQ(refusal(),
            "route \"orders\" rule 0: the weight of pool \"v2\" must be an integer 0..1000000, got "
            "1000001");
  overlay_.weights.clear();
  overlay_.drained["v3"] = {};
  EXPECT_EQ(refusal(), "there is no pool \"v3\"");
  overlay_.drained = {{"v1", {parse_endpoint("10.0.1.13:80").value()}}};
  EXPECT_EQ(refusal(), "pool \"v1\" has no backend 10.0.1.13:80");
}

}  // namespace
}  // namespace sluice::ctrl

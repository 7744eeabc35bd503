#include "ctrl/govern/holders.h"

#include "tests/ctrl/govern/configs.h"

namespace sluice::ctrl {
namespace {

class HoldersTest : public testing::Test {
 protected:
  HoldersTest() {
    held_.weights["web"][0]["web-v2"] = 20;
    held_.drained["dns-v1"] = {parse_endpoint("10.0.1.13:53").value()};
    holders_ = holders_after({}, {}, held_, {}, alice_);
  }
  std::string refusal(const Takeover& takeover, const Config& file) const {
    const auto result = overlay_after_apply(held_, holders_, file, takeover);
    return result ? "" : result.error().message;
  }

  Holder alice_{.user = "alice", .uid = 7, .since = "T1", .generation = 4, .verb = "weight"};
  Overlay held_;
  Holders holders_;
};

TEST_F(HoldersTest, AFileThatSaysSomethingElseIsRefusedByName) {
  const std::string told = refusal({}, config_with());
  EXPECT_TRUE(
      told.starts_with("route web rule 0 pool web-v2 weight is 20, held by alice since T1 "
                       "(generation 4, weight); the file says 5 (and 1 more held fields)"))
      << told;
  EXPECT_NE(told.find("--take-over web --take-over dns-v1"), std::string::npos) << told;
  Takeover web{.names = {"web"}};
  EXPECT_TRUE(refusal(web, config_with())
                  .starts_with("pool dns-v1 backend 10.0.1.13:53 drained is yes, held by alice"));
  Takeover both{.names = {"web", "dns-v1"}};
  EXPECT_EQ(overlay_after_apply(held_, holders_, config_with(), both).value(), Overlay{});
}

TEST_F(HoldersTest, KeptFieldsStayAndThoseTheFileAgreesWithAreItsOwn) {
  const Takeover keep{.names = {}, .keep_held = true};
  EXPECT_EQ(overlay_after_apply(held_, holders_, config_with(), keep).value(), held_);
  Overlay drains;
  drains.drained = held_.drained;
  EXPECT_EQ(
      overlay_after_apply(held_, holders_, config_with("weight = 5", "weight = 20"), keep).value(),
      drains);
  Overlay weights;
  weights.weights = held_.weights;
  EXPECT_TRUE(overlay_after_apply(weights, holders_, config_with("weight = 5", "weight = 20"), {}));
  EXPECT_NE(refusal(keep, config_with("10.0.1.13", "10.0.1.99")), "")
      << "a field that is not there any more cannot be kept";
}

TEST_F(HoldersTest, WhoHoldsWhatAfterAChange) {
  const Holder bob{.user = "bob", .uid = 8, .since = "T2", .generation = 5, .verb = "switch"};
  Overlay next = held_;
  next.weights["web"][0]["web-v1"] = 80;
  const Holders after = holders_after(held_, holders_, next, {}, bob);
  EXPECT_EQ(after.at("route web rule 0 pool web-v2 weight"), alice_);
  EXPECT_EQ(after.at("route web rule 0 pool web-v1 weight"), bob);
  const Holders back = holders_after({}, {}, held_, holders_, bob);
  EXPECT_EQ(back.at("route web rule 0 pool web-v2 weight"), alice_) << "a rollback gives it back";
  EXPECT_EQ(holders_from_json(to_json(after)), after);
}

}  // namespace
}  // namespace sluice::ctrl

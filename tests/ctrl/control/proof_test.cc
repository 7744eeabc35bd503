// The judgement of a proof, from made-up samples.
#include "ctrl/control/proof.h"

#include <gtest/gtest.h>

#include "ctrl/control/proof_record.h"

namespace sluice::ctrl {
namespace {

constexpr uint16_t blue = 1, green = 2;

ProofPlan switch_plan(Existing existing = Existing::keep) {
  ProofPlan plan;
  plan.generation = 7;
  plan.revision = 70;
  plan.verb = "switch";
  plan.route = "orders";
  plan.published_ns = 1'000'000;
  plan.existing = existing;
  ProofPool closed;
  closed.key = {"orders", 0, "blue"};
  closed.ref = blue;
  closed.closed_since = 70;
  closed.must_drain = existing != Existing::keep;
  ProofPool open;
  open.key = {"orders", 0, "green"};
  open.ref = green;
  open.weight = 100;
  open.slots = open.slots_asked = 65'536;
  plan.pools = {closed, open};
  return plan;
}

Sample sample(uint64_t at_ns, std::vector<uint64_t> revisions, RefSample of_blue,
              RefSample of_green = {}) {
  Sample made;
  made.at_ns = at_ns;
  for (const uint64_t revision : revisions) {
    made.workers.push_back({revision, revision / 10, at_ns - 1000});
  }
  made.refs[blue] = std::move(of_blue);
  made.refs[green] = std::move(of_green);
  return made;
}

RefSample counted(uint64_t decisions, uint64_t ended, std::vector<uint64_t> last_revision = {}) {
  return {.decisions = decisions,
          .ended = ended,
          .last_decision_ns = 500'000,
          .last_revision = std::move(last_revision)};
}

struct Watch {
  explicit Watch(ProofPlan of, Sample at_publish) : plan(std::move(of)) {
    evidence.at_publish = std::move(at_publish);
  }
  Proof see(const Sample& now) {
    observe(plan, evidence, now, "now");
    return evaluate(plan, evidence, now);
  }
  ProofPlan plan;
  ProofEvidence evidence;
};

TEST(ProofTest, ProvedWhenAllAcknowledgedAndNothingFollowed) {
  Watch watch(switch_plan(), sample(1'000'000, {60, 60}, counted(9, 4)));
  Proof proof = watch.see(sample(2'000'000, {70, 60}, counted(9, 4)));
  EXPECT_EQ(proof.verdict, ProofVerdict::not_proved);
  EXPECT_EQ(proof.reason, "worker 1 has not acknowledged; it still serves generation 6");
  // The slow worker still gave blue two connections, by its old table.
  proof = watch.see(sample(3'000'000, {70, 70}, counted(11, 4, {60, 60})));
  EXPECT_EQ(proof.verdict, ProofVerdict::proved);
  EXPECT_EQ(proof.reason, "");
  EXPECT_EQ(proof.json.at("acknowledged_us"), 1999.0);
  EXPECT_EQ(proof.json.at("workers")[0].at("after_us"), 999.0);
  const Json& pool = proof.json.at("pools")[0];
  EXPECT_EQ(pool.at("decisions_before"), 9);
  EXPECT_EQ(pool.at("decisions_after"), 0);
  EXPECT_EQ(pool.at("active"), 7);
}

TEST(ProofTest, DecisionsAfterAcknowledgementDisprove) {
  Watch watch(switch_plan(), sample(1'000'000, {70, 70}, counted(9, 4)));
  EXPECT_EQ(watch.see(sample(2'000'000, {70, 70}, counted(9, 4, {60, 60}))).verdict,
            ProofVerdict::proved);
  const Proof proof = watch.see(sample(3'000'000, {70, 70}, counted(12, 4, {60, 60})));
  EXPECT_EQ(proof.verdict, ProofVerdict::not_proved);
  EXPECT_EQ(proof.reason, "pool blue of route orders got 3 connections after it was closed");
}

TEST(ProofTest, DecisionByTheNewTableDisprovesEvenBeforeTheFirstSample) {
  // Between the acknowledgement and our first look; the counter alone could not tell.
  Watch watch(switch_plan(), sample(1'000'000, {60, 60}, counted(9, 4)));
  const Proof proof = watch.see(sample(2'000'000, {70, 70}, counted(10, 4, {60, 70})));
  EXPECT_EQ(proof.verdict, ProofVerdict::not_proved);
  EXPECT_EQ(proof.json.at("pools")[0].at("stale_decisions"), 1);
}

TEST(ProofTest, TableThatIsNotWhatWasAskedDisproves) {
  ProofPlan plan = switch_plan();
  plan.pools[1].slots = 65'535;
  Watch watch(std::move(plan), sample(1'000'000, {70}, counted(0, 0)));
  const Proof proof = watch.see(sample(2'000'000, {70}, counted(0, 0)));
  EXPECT_EQ(proof.verdict, ProofVerdict::not_proved);
  EXPECT_EQ(proof.reason,
            "the published table gives pool green 65535 slots, its weight asks for "
            "65536");
}

TEST(ProofTest, DrainingUntilTheLastConnectionEnds) {
  for (const Existing existing : {Existing::drain, Existing::reset}) {
    Watch watch(switch_plan(existing), sample(1'000'000, {70}, counted(9, 4)));
    Proof proof = watch.see(sample(2'000'000, {70}, counted(9, 8)));
    EXPECT_EQ(proof.verdict, ProofVerdict::draining);
    EXPECT_EQ(proof.reason, "1 connection of blue was there before");
    EXPECT_TRUE(proof.json.at("pools")[0].at("drained_at").is_null());
    proof = watch.see(sample(3'000'000, {70}, counted(9, 9)));
    EXPECT_EQ(proof.verdict, ProofVerdict::proved);
    EXPECT_EQ(proof.json.at("pools")[0].at("drained_at"), "now");
  }
}

TEST(ProofTest, NoConnectionLeftIsNoDrainBeforeAcknowledgement) {
  // Blue is empty for a moment while a worker can still give it connections.
  Watch watch(switch_plan(Existing::drain), sample(1'000'000, {60}, counted(4, 4)));
  watch.see(sample(2'000'000, {60}, counted(4, 4)));
  EXPECT_TRUE(watch.evidence.pools_drained_at.empty());
  EXPECT_EQ(watch.see(sample(3'000'000, {70}, counted(5, 4, {60}))).verdict,
            ProofVerdict::draining);
}

TEST(ProofTest, LaterGenerationBeforeAcknowledgementIsSaid) {
  Watch watch(switch_plan(), sample(1'000'000, {60, 70}, counted(0, 0)));
  watch.see(sample(2'000'000, {60, 70}, counted(0, 0)));
  watch.evidence.superseded_by = 8;
  Proof proof = watch.see(sample(3'000'000, {60, 70}, counted(0, 0)));
  EXPECT_EQ(proof.reason, "generation 8 came before worker 0 acknowledged");
  watch.evidence.superseded_by = 0;
  proof = watch.see(sample(3'000'000, {80, 70}, counted(0, 0)));
  EXPECT_EQ(proof.verdict, ProofVerdict::not_proved);
  EXPECT_EQ(proof.reason, "worker 0 went on to generation 8 before it was seen to serve this one");
}

TEST(ProofTest, SharesServedAreOfTheRule) {
  ProofPlan plan = switch_plan();
  plan.pools[0].closed_since = 0;
  Watch watch(std::move(plan), sample(1'000'000, {70}, counted(0, 0), counted(0, 0)));
  watch.see(sample(2'000'000, {70}, counted(10, 0), counted(10, 0)));
  const Proof proof = watch.see(sample(3'000'000, {70}, counted(35, 0), counted(85, 0)));
  EXPECT_EQ(proof.json.at("pools")[0].at("share_after"), 0.25);
  EXPECT_EQ(proof.json.at("pools")[1].at("share_after"), 0.75);
}

TEST(ProofTest, DrainedBackendThatGetsAConnectionDisproves) {
  ProofPlan plan = switch_plan();
  plan.pools.clear();
  plan.backends.push_back({{"blue", parse_endpoint("10.0.0.1:80").value()}, 5, true});
  Watch watch(std::move(plan), sample(1'000'000, {70}, {}));
  Sample now = sample(2'000'000, {70}, {});
  now.backends[5] = {.connections = 8, .ended = 6};
  EXPECT_EQ(watch.see(now).reason, "2 connections of 10.0.0.1:80 (blue) were there before");
  now.backends[5] = {.connections = 8, .ended = 8};
  EXPECT_EQ(watch.see(now).verdict, ProofVerdict::proved);
  now.backends[5] = {.connections = 9, .ended = 8};
  EXPECT_EQ(watch.see(now).reason,
            "backend 10.0.0.1:80 of pool blue got 1 connection after it was drained");
}

}  // namespace
}  // namespace sluice::ctrl

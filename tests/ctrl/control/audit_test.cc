// Changes as records: what is in the audit log after success, refusal, failure and a crash.
#include <sys/resource.h>

#include <csignal>

#include "ctrl/audit/chain_check.h"
#include "ctrl/audit/query.h"
#include "tests/ctrl/control/lab.h"

namespace sluice::ctrl {
namespace {

class AuditTest : public testing::Test {
 protected:
  std::filesystem::path log() const { return directory_.path() / "audit"; }
  /// Newest first.
  std::vector<Json> records(const std::string& event = "") const {
    const auto answer = query_audit_log(log(), {.event = event, .limit = 1000});
    EXPECT_TRUE(answer);
    return answer->records;
  }
  bool whole() const { return check_audit_log(log(), false)->whole(); }
  std::uintmax_t log_bytes() const {
    return std::filesystem::file_size(log() / "0000000000000001.jsonl");
  }
  static ChangeOptions by_alice(std::string reason = "") {
    ChangeOptions options;
    options.author = {.user = "alice", .uid = 0, .pid = 77, .gid = 5};
    options.reason = std::move(reason);
    options.verb = "weight";
    options.intent = {{"route", "orders"}, {"weights", {{"orders-v2", 5}}}};
    return options;
  }

  TemporaryDirectory directory_;
};

TEST_F(AuditTest, AChangeIsARecordAndItsProofRefersToIt) {
  Life life(directory_.path());
  ASSERT_TRUE(life.weight({{"orders-v2", 5}}, by_alice("a canary")));
  const auto changes = records("change");
  ASSERT_EQ(changes.size(), 2u);
  const Json& change = changes[0];
  EXPECT_EQ(change["who"]["user"], "alice");
  EXPECT_EQ(change["who"]["gid"], 5);
  EXPECT_EQ(change["who"]["pid"], 77);
  EXPECT_EQ(change["verb"], "weight");
  EXPECT_EQ(change["routes"], Json::array({"orders"}));
  EXPECT_EQ(change["intent"]["weights"]["orders-v2"], 5);
  EXPECT_EQ(change["diff"], Json::array({"route orders rule 0: pool orders-v2 weight 0 -> 5"}));
  EXPECT_EQ(change["diff_hash"].get<std::string>().size(), 64u);
  EXPECT_EQ(change["reason"], "a canary");
  EXPECT_EQ(change["generation"], 2);
  const auto proofs = records("proof");
  ASSERT_GE(proofs.size(), 1u);
  EXPECT_EQ(proofs[0]["refers"], change["seq"]);
  EXPECT_EQ(proofs[0]["generation"], 2);
  EXPECT_EQ(proofs[0]["verdict"], "proved");
  EXPECT_TRUE(whole());
}

TEST_F(AuditTest, RefusalsAreRecordedAndDryRunsAreNot) {
  Life life(directory_.path());
  ChangeOptions options = by_alice();
  options.dry_run = true;
  ASSERT_TRUE(life.weight({{"orders-v2", 5}}, options));
  ASSERT_FALSE(life.weight({{"nothing", 5}}, options));
  EXPECT_TRUE(records("refusal").empty());
  ASSERT_FALSE(life.weight({{"nothing", 5}}, by_alice("a slip")));
  options = by_alice();
  options.expect_generation = 9;
  ASSERT_FALSE(life.weight({{"orders-v2", 5}}, options));
  ASSERT_FALSE(life.rollback({}, by_alice()));
  const auto refusals = records("refusal");
  ASSERT_EQ(refusals.size(), 3u);
  EXPECT_EQ(refusals[2]["kind"], "invalid");
  EXPECT_EQ(refusals[2]["reason"], "a slip");
  EXPECT_EQ(refusals[2]["routes"], Json::array({"orders"}));
  EXPECT_EQ(refusals[1]["kind"], "conflict");
  EXPECT_EQ(refusals[0]["message"], "there is no generation before 1");
  EXPECT_EQ(life.audit->refusals().at("invalid"), 2u);
}

TEST_F(AuditTest, EndlessRefusalsAreCountedNotWritten) {
  Life life(directory_.path());
  for (int i = 0; i < 500; i++) ASSERT_FALSE(life.weight({{"nothing", 5}}, by_alice()));
  EXPECT_EQ(life.audit->refusals().at("invalid"), 500u);
  const size_t written = records("refusal").size();
  EXPECT_LE(written, 60u);
  life.loop.advance(std::chrono::seconds(30));
  const auto refusals = records("refusal");
  ASSERT_EQ(refusals.size(), written + 1);
  EXPECT_EQ(refusals[0]["not_recorded_before"], 500 - written);
}

TEST_F(AuditTest, AFullDiskRefusesTheChangeAndTrafficGoesOn) {
  Life life(directory_.path());
  const size_t published = life.engine.published.size();
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{.rlim_cur = log_bytes() + 10, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &full);
  const auto outcome = life.weight({{"orders-v2", 5}}, by_alice());
  ::setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().message.find("the change is refused and traffic is as before"),
            std::string::npos);
  EXPECT_EQ(life.engine.published.size(), published);
  EXPECT_EQ(life.controller->generation(), 1u);
  EXPECT_TRUE(life.connect(1)[0]);
  EXPECT_TRUE(whole());
  EXPECT_GE(life.audit->failures(), 1u);
  ASSERT_TRUE(life.weight({{"orders-v2", 5}}, by_alice()));
  EXPECT_EQ(life.controller->generation(), 2u);
  EXPECT_TRUE(whole());
}

TEST_F(AuditTest, AChangeThatCannotBeCommittedSaysSo) {
  Life life(directory_.path());
  const auto in_the_way = directory_.path() / "generations" / "000000000002.json.tmp";
  std::filesystem::create_directory(in_the_way);
  ASSERT_FALSE(life.weight({{"orders-v2", 5}}, by_alice()));
  const auto change = records("change").at(0);
  const auto undone = records("not-committed");
  ASSERT_EQ(undone.size(), 1u);
  EXPECT_EQ(undone[0]["refers"], change["seq"]);
  EXPECT_EQ(undone[0]["generation"], 2);
  std::filesystem::remove(in_the_way);
  ASSERT_TRUE(life.weight({{"orders-v2", 5}}, by_alice()));
  EXPECT_EQ(records("not-committed").size(), 1u);
}

TEST_F(AuditTest, ACrashBetweenRecordAndCommitIsAccountedForOnce) {
  {
    Life life(directory_.path());
    ASSERT_TRUE(life.weight({{"orders-v2", 5}}, by_alice()));
    Generation lost = life.store->load(2).value();
    lost.number = 3;
    ASSERT_TRUE(life.audit->change(lost, {}));
  }
  for (int restart = 0; restart < 2; restart++) {
    Life life(directory_.path());
    EXPECT_EQ(life.controller->generation(), 2u);
    ASSERT_EQ(records("not-committed").size(), 1u);
    EXPECT_EQ(records("not-committed")[0]["generation"], 3);
    EXPECT_EQ(records("start")[0]["generation"], 2);
  }
  Life life(directory_.path());
  ASSERT_TRUE(life.weight({{"orders-v2", 7}}, by_alice()));
  EXPECT_TRUE(whole());
}

TEST_F(AuditTest, AKillInTheMiddleOfARecordIsToldAtTheNextStart) {
  {
    Life life(directory_.path());
    ASSERT_TRUE(life.weight({{"orders-v2", 5}}, by_alice()));
  }
  std::ofstream(log() / "0000000000000001.jsonl", std::ios::app) << R"({"approval":nul)";
  EXPECT_TRUE(whole());
  Life life(directory_.path());
  const auto recovered = records("recovered");
  ASSERT_EQ(recovered.size(), 1u);
  EXPECT_EQ(recovered[0]["torn"]["bytes"], 15);
  EXPECT_TRUE(whole());
  EXPECT_EQ(check_audit_log(log(), false)->notes.size(), 1u);
}

}  // namespace
}  // namespace sluice::ctrl

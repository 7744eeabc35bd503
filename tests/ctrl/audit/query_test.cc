#include "ctrl/audit/query.h"

#include "tests/ctrl/audit/log_lab.h"

namespace sluice::ctrl {
namespace {

class QueryTest : public LogLab {
 protected:
  QueryTest() {
    AuditLog log = open(2000);  // several files
    write(log, 30);
    EXPECT_TRUE(log.append({{"event", "refusal"},
                            {"who", {{"user", "bob"}, {"uid", 7}}},
                            {"time", "2026-11-23T08:00:00.000Z"}}));
  }
  std::vector<uint64_t> ask(const AuditQuery& query) {
    next_ = 0;
    const auto answer = query_audit_log(directory_, query);
    EXPECT_TRUE(answer);
    std::vector<uint64_t> numbers;
    for (const AuditJson& record : answer->records) numbers.push_back(record["seq"]);
    next_ = answer->next;
    return numbers;
  }
  uint64_t next_ = 0;
};

using Numbers = std::vector<uint64_t>;

TEST_F(QueryTest, NewestFirstAndNoMoreThanAskedFor) {
  EXPECT_EQ(ask({.limit = 3}), (Numbers{31, 30, 29}));
  EXPECT_EQ(next_, 29u);
  EXPECT_EQ(ask({.before = next_, .limit = 2}), (Numbers{28, 27}));
  EXPECT_EQ(ask({.limit = 1000}).size(), 31u);
  EXPECT_EQ(next_, 0u);
}

TEST_F(QueryTest, Filters) {
  EXPECT_EQ(ask({.route = "odd", .limit = 2}), (Numbers{30, 28}));
  EXPECT_EQ(ask({.author = "bob"}), Numbers{31});
  EXPECT_EQ(ask({.author = "7"}), Numbers{31});
  EXPECT_EQ(ask({.author = "1000", .limit = 1}), Numbers{30});
  EXPECT_EQ(ask({.event = "refusal"}), Numbers{31});
  EXPECT_EQ(ask({.since = "2026-11-23T07:30:00.000Z"}), Numbers{31});
  EXPECT_EQ(ask({.route = "none"}), Numbers{});
}

TEST_F(QueryTest, AWalkInSmallStepsSeesEverythingOnce) {
  Numbers seen;
  uint64_t before = 0;
  do {
    const Numbers part = ask({.before = before, .bytes_max = 700});
    seen.insert(seen.end(), part.begin(), part.end());
    before = next_;
  } while (before != 0);
  ASSERT_EQ(seen.size(), 31u);
  for (size_t i = 0; i < seen.size(); i++) EXPECT_EQ(seen[i], 31 - i);
}

}  // namespace
}  // namespace sluice::ctrl

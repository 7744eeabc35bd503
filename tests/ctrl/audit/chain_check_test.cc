// Every way to spoil a log is found, and named by file and line.
#include "ctrl/audit/chain_check.h"

#include <random>

#include "tests/ctrl/audit/log_lab.h"

namespace sluice::ctrl {
namespace {

using Findings = std::vector<std::string>;

class ChainCheckTest : public LogLab {
 protected:
  ChainCheckTest() {
    AuditLog log = open();
    write(log, 10);
  }
};

TEST_F(ChainCheckTest, AWholeLogIsWhole) {
  const AuditCheck result = check();
  EXPECT_TRUE(result.whole());
  EXPECT_TRUE(result.notes.empty());
  EXPECT_EQ(result.records, 10u);
  EXPECT_EQ(result.first_sequence, 1u);
  EXPECT_EQ(result.last_sequence, 10u);
}

TEST_F(ChainCheckTest, EveryEditedByteIsFoundInItsLine) {
  constexpr unsigned seed = 5;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const std::string whole = content(file());
  for (int round = 0; round < 400; round++) {
    std::string spoilt = whole;
    const size_t at = random() % spoilt.size();
    const char was = spoilt[at];
    do {
      spoilt[at] = static_cast<char>(random() % 256);
    } while (spoilt[at] == was);
    put(file(), spoilt);
    const AuditCheck result = check();
    const auto line = 1 + std::count(whole.begin(), whole.begin() + long(at), '\n');
    ASSERT_FALSE(result.whole()) << "byte " << at;
    EXPECT_EQ(result.findings[0].line, uint64_t(line)) << "byte " << at;
    EXPECT_EQ(result.findings[0].file, file().string());
  }
}

TEST_F(ChainCheckTest, AnEditedWordNamesOnlyItsLine) {
  auto spoilt = lines();
  spoilt[3].replace(spoilt[3].find("number 3"), 8, "number 7");
  put_lines(spoilt);
  EXPECT_EQ(findings(), Findings{"4 it was edited: its hash does not match its content"});
  spoilt = lines();
  spoilt[3].replace(spoilt[3].find("number 7"), 8, "number 3");
  spoilt[9].replace(spoilt[9].find("number 9"), 8, "number 7");
  put_lines(spoilt);
  EXPECT_EQ(findings(), Findings{"10 it was edited: its hash does not match its content"});
}

TEST_F(ChainCheckTest, AnEditedLineBeforeARemovedOne) {
  auto spoilt = lines();
  spoilt[3].replace(spoilt[3].find("number 3"), 8, "number 7");
  spoilt.erase(spoilt.begin() + 4);
  put_lines(spoilt);
  EXPECT_EQ(findings(), (Findings{"4 it was edited: its hash does not match its content",
                                  "5 record 5 was removed before this line"}));
}

TEST_F(ChainCheckTest, ARemovedLine) {
  auto spoilt = lines();
  spoilt.erase(spoilt.begin() + 4);
  put_lines(spoilt);
  EXPECT_EQ(findings(), Findings{"5 record 5 was removed before this line"});
  spoilt.erase(spoilt.begin());
  put_lines(spoilt);
  EXPECT_EQ(findings(), (Findings{"1 the log begins with record 2; record 1 before it is missing",
                                  "4 record 5 was removed before this line"}));
}

TEST_F(ChainCheckTest, LinesInAnotherOrder) {
  auto spoilt = lines();
  std::swap(spoilt[4], spoilt[5]);
  put_lines(spoilt);
  EXPECT_EQ(findings(),
            Findings{"6 record 5 is in the wrong place: the lines were put in another order"});
}

TEST_F(ChainCheckTest, ALineTwice) {
  auto spoilt = lines();
  spoilt.insert(spoilt.begin() + 6, spoilt[2]);
  put_lines(spoilt);
  EXPECT_EQ(findings(), Findings{"7 record 3 is there a second time"});
}

TEST_F(ChainCheckTest, AMissingEnd) {
  auto spoilt = lines();
  spoilt.resize(8);
  put_lines(spoilt);
  EXPECT_EQ(findings(), Findings{"9 the end is missing: records 9..10, which the head knows, "
                                 "are not there"});
  put(file(), "");
  EXPECT_EQ(findings().at(0),
            "1 the end is missing: records 1..10, which the head knows, "
            "are not there");
  std::filesystem::remove(file());
  EXPECT_FALSE(check().whole());
}

TEST_F(ChainCheckTest, HalfALineThatTheHeadKnowsIsNoTornOne) {
  const std::string whole = content(file());
  put(file(), whole.substr(0, whole.size() - 30));
  EXPECT_EQ(findings(), (Findings{"10 it is no whole record: its hash is missing at the end",
                                  "11 the end is missing: record 10, which the head knows, is "
                                  "not there"}));
}

TEST_F(ChainCheckTest, AForgedRecordWithARightHash) {
  auto spoilt = lines();
  AuditJson fields = AuditJson::parse(spoilt[4]);
  fields["reason"] = "forged";
  spoilt[4] = encode_audit_line(fields, 5, fields["previous"].get<std::string>()).text;
  put_lines(spoilt);
  EXPECT_EQ(findings(), Findings{"6 record 6 does not follow from the one before it: it names "
                                 "another hash"});
  spoilt = lines();
  fields = AuditJson::parse(spoilt[9]);
  fields["reason"] = "forged";
  spoilt[9] = encode_audit_line(fields, 10, fields["previous"].get<std::string>()).text;
  put_lines(spoilt);
  EXPECT_EQ(findings().back(), "10 record 10 is not the one that the head knows: it was replaced");
}

TEST_F(ChainCheckTest, AHeadThatIsGone) {
  std::filesystem::remove(directory_ / "head");
  EXPECT_EQ(check().findings.size(), 1u);
  put(directory_ / "head", "nonsense");
  EXPECT_EQ(check().findings.at(0).file, (directory_ / "head").string());
}

TEST_F(ChainCheckTest, AFileInTheMiddleThatIsGone) {
  AuditLog log = open(500);
  write(log, 10);
  ASSERT_GT(audit_files(directory_)->size(), 3u);
  EXPECT_TRUE(check().whole());
  std::filesystem::remove(file(2));
  const AuditCheck result = check();
  ASSERT_EQ(result.findings.size(), 1u);
  EXPECT_EQ(result.findings[0].file, file(2).string());
  EXPECT_EQ(result.findings[0].line, 1u);
}

TEST_F(ChainCheckTest, ArchivedFilesMayLieElsewhere) {
  AuditLog log = open(500);
  write(log, 10);
  std::filesystem::remove(file(0));
  EXPECT_FALSE(check().whole());
  const AuditCheck archived = check(true);
  EXPECT_TRUE(archived.whole());
  EXPECT_EQ(archived.notes.size(), 1u);
  EXPECT_TRUE(check_audit_files({file(1), file(2)})->whole());
  EXPECT_FALSE(check_audit_files({file(2), file(1)})->whole());
}

}  // namespace
}  // namespace sluice::ctrl

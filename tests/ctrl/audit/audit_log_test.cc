// What the writer leaves on the disk: after success, after failure, and after a crash.
#include "ctrl/audit/audit_log.h"

#include <sys/resource.h>

#include <csignal>

#include "ctrl/audit/sha256.h"
#include "tests/ctrl/audit/log_lab.h"

namespace sluice::ctrl {
namespace {

using AuditLogTest = LogLab;

/// Writes beyond the end of any file fail, as they do on a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t file_bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit full{.rlim_cur = file_bytes, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &full);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST(Sha256Test, KnownAnswers) {  // FIPS 180-4's examples
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_F(AuditLogTest, TheChainGoesOnAfterARestart) {
  {
    AuditLog log = open();
    write(log, 3);
    EXPECT_TRUE(log.recovered().is_null());
  }
  AuditLog log = open();
  EXPECT_TRUE(log.recovered().is_null());
  EXPECT_EQ(log.last_found()["reason"], "number 2");
  write(log, 2);
  EXPECT_EQ(log.head().sequence, 5u);
  EXPECT_TRUE(check().whole());
  EXPECT_EQ(check().records, 5u);
}

TEST_F(AuditLogTest, ANewFileBeginsWithTheLastHashOfTheOneBefore) {
  AuditLog log = open(1000);
  write(log, 20);
  const auto files = audit_files(directory_).value();
  ASSERT_GE(files.size(), 4u);
  for (size_t i = 1; i < files.size(); i++) {
    std::string last;
    ASSERT_TRUE(visit_lines_backwards(files[i - 1].path, [&](std::string_view line) {
      last = line;
      return false;
    }));
    const auto first = read_audit_page(files[i].path, 0, 1)->lines.at(0);
    EXPECT_EQ(decode_audit_line(first)->previous, decode_audit_line(last)->hash);
    EXPECT_EQ(decode_audit_line(first)->sequence, files[i].first_sequence);
  }
  EXPECT_TRUE(check().whole());
}

TEST_F(AuditLogTest, AFullDiskRefusesAndLeavesTheLogAsItWas) {
  AuditLog log = open();
  write(log, 3);
  const std::string before = content(file());
  {
    const FullDisk full(before.size() + 40);
    const auto refused = log.append({{"event", "change"}, {"reason", std::string(500, 'x')}});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find(file().string()), std::string::npos);
    EXPECT_EQ(content(file()), before);
    EXPECT_EQ(log.head().sequence, 3u);
    EXPECT_TRUE(check().whole());
  }
  write(log, 1);
  EXPECT_EQ(log.head().sequence, 4u);
  EXPECT_TRUE(check().whole());
}

TEST_F(AuditLogTest, ATornLastLineIsNotTampering) {
  {
    AuditLog log = open();
    write(log, 3);
  }
  const std::string whole = content(file());
  for (const size_t bytes : {1u, 20u, 200u}) {
    put(file(), whole + whole.substr(0, bytes));
    const AuditCheck torn = check();
    EXPECT_TRUE(torn.whole());
    ASSERT_EQ(torn.notes.size(), 1u);
    EXPECT_EQ(torn.notes[0].line, 4u);
  }
  AuditLog log = open();
  ASSERT_TRUE(log.recovered().is_object());
  EXPECT_EQ(log.recovered()["event"], "recovered");
  EXPECT_EQ(log.recovered()["torn"]["bytes"], 200);
  ASSERT_TRUE(log.append(log.recovered()));
  write(log, 2);
  const AuditCheck after = check();
  EXPECT_TRUE(after.whole());
  EXPECT_EQ(after.records, 6u);
  ASSERT_EQ(after.notes.size(), 1u);
  EXPECT_EQ(after.notes[0].what, "torn when sluiced ended; record 4 says so");
}

TEST_F(AuditLogTest, ARecordThatTheHeadLacksIsTakenOver) {
  AuditHead before;
  {
    AuditLog log = open();
    write(log, 3);
    before = log.head();
    write(log, 1);
  }
  put(directory_ / "head", encode_audit_head(before));  // killed between record and head
  EXPECT_TRUE(check().whole());
  AuditLog log = open();
  EXPECT_TRUE(log.recovered().is_null());
  EXPECT_EQ(log.head().sequence, 4u);
  write(log, 1);
  EXPECT_TRUE(check().whole());
}

TEST_F(AuditLogTest, AnEndThatIsMissingStaysMissing) {
  {
    AuditLog log = open();
    write(log, 5);
  }
  auto spoilt = lines();
  spoilt.resize(3);
  put_lines(spoilt);
  AuditLog log = open();
  EXPECT_EQ(log.recovered()["missing"]["from"], 4);
  EXPECT_EQ(log.recovered()["missing"]["to"], 5);
  ASSERT_TRUE(log.append(log.recovered()));
  EXPECT_EQ(findings(), std::vector<std::string>{"4 records 4..5 were removed before this line"});
}

TEST_F(AuditLogTest, AnyBytesAreOneLine) {
  AuditLog log = open();
  ASSERT_TRUE(log.append({{"reason", "two\nlines \xff\xfe \"quoted\" ,\"hash\":\"x\"}"}}));
  EXPECT_EQ(lines().size(), 1u);
  EXPECT_TRUE(check().whole());
}

}  // namespace
}  // namespace sluice::ctrl

// A directory with an audit log in it, and a hand to spoil it with.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "ctrl/audit/audit_files.h"
#include "ctrl/audit/audit_log.h"
#include "ctrl/audit/chain_check.h"

namespace sluice::ctrl {

class LogLab : public testing::Test {
 protected:
  LogLab() {
    char name[] = "/tmp/sluice-audit-test-XXXXXX";
    directory_ = ::mkdtemp(name);
  }
  ~LogLab() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  AuditLog open(uint64_t file_bytes_max = 64u << 20) {
    auto log = AuditLog::open(directory_, {.file_bytes_max = file_bytes_max});
    EXPECT_TRUE(log) << (log ? "" : log.error().message);
    return std::move(*log);
  }
  static void write(AuditLog& log, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
      const auto done = log.append({{"event", "change"},
                                    {"routes", {i % 2 == 0 ? "even" : "odd"}},
                                    {"who", {{"user", "alice"}, {"uid", 1000}}},
                                    {"time", "2026-11-23T07:00:00.000Z"},
                                    {"reason", "number " + std::to_string(i)}});
      EXPECT_TRUE(done) << (done ? "" : done.error().message);
    }
  }

  std::filesystem::path file(size_t index = 0) const {
    return audit_files(directory_).value().at(index).path;
  }
  static std::string content(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  static void put(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  }
  std::vector<std::string> lines() const {
    std::istringstream text(content(file()));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }
  void put_lines(const std::vector<std::string>& lines) const {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    put(file(), text);
  }

  AuditCheck check(bool archived = false) const {
    auto result = check_audit_log(directory_, archived);
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    return result.value_or(AuditCheck{});
  }
  /// "LINE what" of each finding.
  std::vector<std::string> findings() const {
    std::vector<std::string> told;
    for (const AuditFinding& finding : check().findings) {
      told.push_back(std::to_string(finding.line) + " " + finding.what);
    }
    return told;
  }

  std::filesystem::path directory_;
};

}  // namespace sluice::ctrl

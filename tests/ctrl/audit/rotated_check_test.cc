// A log of several files, spoilt at every line in every way: the place is named, whether it is the
// first line of a file, its last one, or the last one of all.
#include <algorithm>

#include "tests/ctrl/audit/log_lab.h"

namespace sluice::ctrl {
namespace {

struct Place {
  std::string file;
  uint64_t line = 0;
  bool operator==(const Place&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Place& place) {
  return out << std::filesystem::path(place.file).filename().string() << ':' << place.line;
}

class RotatedCheckTest : public LogLab {
 protected:
  using Lines = std::vector<std::string>;

  RotatedCheckTest() {
    AuditLog log = open(1200);
    write(log, 16);
    const auto files = audit_files(directory_).value();
    for (const AuditFile& each : files) paths_.push_back(each.path);
    for (size_t i = 0; i < paths_.size(); i++) {
      std::istringstream text(content(paths_[i]));
      uint64_t number = 0;
      for (std::string line; std::getline(text, line);) {
        places_.push_back({paths_[i], ++number});
        file_of_.push_back(i);
        whole_.push_back(line);
      }
    }
  }

  /// The lines that remain, each in the file where its place in the log is; `counts` says how many
  /// lines each file has.
  void put_files(const Lines& lines, const std::vector<size_t>& counts) const {
    size_t at = 0;
    for (size_t i = 0; i < paths_.size(); i++) {
      std::string text;
      for (size_t n = 0; n < counts[i]; n++) text += lines[at++] + "\n";
      put(paths_[i], text);
    }
  }
  std::vector<size_t> counts() const {
    std::vector<size_t> counts(paths_.size());
    for (const size_t file : file_of_) counts[file]++;
    return counts;
  }
  /// Of the first finding.
  Place found() const {
    const AuditCheck result = check();
    if (result.findings.empty()) return {};
    return {result.findings[0].file, result.findings[0].line};
  }
  size_t last() const { return whole_.size() - 1; }
  bool is_last_of_file(size_t i) const { return i == last() || file_of_[i + 1] != file_of_[i]; }

  std::vector<std::filesystem::path> paths_;
  Lines whole_;
  std::vector<size_t> file_of_;  // by line of the whole log
  std::vector<Place> places_;    // likewise
};

TEST_F(RotatedCheckTest, TheLogHasSeveralFilesOfSeveralLines) {
  EXPECT_TRUE(check().whole());
  ASSERT_GE(paths_.size(), 4u);
  EXPECT_GE(counts()[0], 3u);
}

TEST_F(RotatedCheckTest, AnEditedLine) {
  for (size_t i = 0; i < whole_.size(); i++) {
    Lines lines = whole_;
    lines[i].replace(lines[i].find("alice"), 5, "malic");
    put_files(lines, counts());
    EXPECT_EQ(found(), places_[i]) << i;
  }
}

TEST_F(RotatedCheckTest, ARemovedLine) {
  for (size_t i = 0; i < whole_.size(); i++) {
    Lines lines = whole_;
    lines.erase(lines.begin() + long(i));
    auto left = counts();
    left[file_of_[i]]--;
    put_files(lines, left);
    // Where the next record is now: in its place, or at the beginning of the next file.
    const bool ends_file = is_last_of_file(i) && i != last();
    EXPECT_EQ(found(), ends_file ? places_[i + 1] : places_[i]) << i;
  }
}

TEST_F(RotatedCheckTest, TwoLinesInTheWrongOrder) {
  for (size_t i = 0; i < last(); i++) {
    Lines lines = whole_;
    std::swap(lines[i], lines[i + 1]);
    put_files(lines, counts());
    const Place place = found();
    EXPECT_TRUE(place == places_[i] || place == places_[i + 1]) << i << ": " << place;
  }
}

TEST_F(RotatedCheckTest, ALineThatIsThereTwice) {
  for (size_t i = 0; i < whole_.size(); i++) {
    Lines lines = whole_;
    lines.insert(lines.begin() + long(i), whole_[i]);
    auto more = counts();
    more[file_of_[i]]++;
    put_files(lines, more);
    EXPECT_EQ(found(), (Place{places_[i].file, places_[i].line + 1})) << i;
  }
}

TEST_F(RotatedCheckTest, AnEndThatWasCutOff) {
  for (size_t i = 0; i < whole_.size(); i++) {
    auto left = counts();
    left[file_of_[i]] = places_[i].line - 1;
    std::fill(left.begin() + long(file_of_[i]) + 1, left.end(), 0);
    Lines lines(whole_.begin(), whole_.begin() + long(i));
    put_files(lines, left);
    EXPECT_FALSE(check().whole()) << i;
    for (size_t file = file_of_[i] + 1; file < paths_.size(); file++) {
      std::filesystem::remove(paths_[file]);
    }
    EXPECT_EQ(found(), places_[i]) << i;
    put_files(whole_, counts());
  }
}

TEST_F(RotatedCheckTest, FilesThatAreGoneOrExchanged) {
  for (size_t file = 0; file < paths_.size(); file++) {
    std::filesystem::remove(paths_[file]);
    EXPECT_FALSE(check().whole()) << file;
    put_files(whole_, counts());
  }
  for (size_t file = 0; file + 1 < paths_.size(); file++) {
    const std::string first = content(paths_[file]), second = content(paths_[file + 1]);
    put(paths_[file], second);
    put(paths_[file + 1], first);
    EXPECT_FALSE(check().whole()) << file;
    put_files(whole_, counts());
  }
  EXPECT_TRUE(check().whole());
}

}  // namespace
}  // namespace sluice::ctrl

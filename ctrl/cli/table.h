// Table: columns that line up, for a terminal. Cold; a value.
#pragma once

#include <string>
#include <vector>

namespace sluice::cli {

class Table {
 public:
  /// A header that starts with '>' is right-aligned; the sign is not printed.
  explicit Table(std::vector<std::string> headers);
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  /// Lines end with '\n'; no trailing blanks. `indent` blanks before every line.
  std::string render(unsigned indent = 0) const;

 private:
  std::vector<std::string> headers_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

/// Bold, red, green, yellow when standard output is a terminal and NO_COLOR is unset.
enum class Tint { none, bold, good, warning, bad };
std::string tinted(Tint tint, const std::string& text);

}  // namespace sluice::cli

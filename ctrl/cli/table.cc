#include "ctrl/cli/table.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace sluice::cli {
namespace {

/// Characters, not bytes: continuation bytes of UTF-8 take no column.
size_t columns(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string padded(const std::string& text, size_t width, bool right) {
  const size_t used = columns(text);
  const std::string blanks(width > used ? width - used : 0, ' ');
  return right ? blanks + text : text + blanks;
}

}  // namespace

Table::Table(std::vector<std::string> headers) : headers_(std::move(headers)) {
  for (auto& header : headers_) {
    const bool right = !header.empty() && header.front() == '>';
    right_.push_back(right);
    if (right) header.erase(0, 1);
  }
}

void Table::add(std::vector<std::string> cells) {
  cells.resize(headers_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::render(unsigned indent) const {
  std::vector<size_t> widths;
  for (const auto& header : headers_) widths.push_back(columns(header));
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  std::string out;
  const auto append = [&](const std::vector<std::string>& row) {
    std::string line(indent, ' ');
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      line += padded(row[i], widths[i], right_[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  append(headers_);
  for (const auto& row : rows_) append(row);
  return out;
}

std::string tinted(Tint tint, const std::string& text) {
  static const bool colours = ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  if (!colours || tint == Tint::none) return text;
  const char* code = tint == Tint::bold      ? "1"
                     : tint == Tint::good    ? "32"
                     : tint == Tint::warning ? "33"
                                             : "31";
  return std::string("\033[") + code + "m" + text + "\033[0m";
}

}  // namespace sluice::cli

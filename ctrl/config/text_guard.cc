#include "ctrl/config/text_guard.h"

#include <fmt/format.h>

namespace sluice::ctrl {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

// Follows just enough of TOML's lexical structure to tell keys from strings and comments.
class TextScanner {
 public:
  TextScanner(std::string_view text, int key_parts_max) : text_(text), parts_max_(key_parts_max) {
    if (text_.starts_with(byte_order_mark)) text_.remove_prefix(byte_order_mark.size());
  }

  std::optional<DocumentError> scan() {
    while (at_ < text_.size() && !hazard_) {
      const char c = text_[at_];
      if (c == '#') {
        skip_comment();
      } else if (c == '"' || c == '\'') {
        begin_key();
        skip_string(c);
      } else {
        step(c);
      }
    }
    return hazard_;
  }

 private:
  void step(char c) {
    switch (c) {
      case '=':
      case ',':
      case '{':
      case '}':
      case '[':
      case ']':
      case '\n':
        dots_ = 0, key_ = {};
        break;
      case ' ':
      case '\t':
      case '\r':
        break;
      case '.':
        if (++dots_ < parts_max_) break;
        report(key_, fmt::format("a key has at most {} parts between dots", parts_max_));
        break;
      default:
        begin_key();
        if (static_cast<unsigned char>(c) < 0x80) break;
        report(here(), "only strings and comments may have characters outside ASCII");
    }
    advance();
  }

  void skip_comment() {
    while (at_ < text_.size() && text_[at_] != '\n') advance();
  }

  void skip_string(char quote) {
    const bool is_empty = text_.substr(at_).starts_with(quote == '"' ? "\"\"" : "''");
    if (is_empty && text_.substr(at_ + 2).starts_with(quote)) {
      report(here(), "a configuration has no multi-line strings");
      return;
    }
    advance();
    // A line break within a string is a syntax error: the library reads no further.
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n') {
      if (quote == '"' && text_[at_] == '\\' && at_ + 1 < text_.size()) advance();
      advance();
    }
    if (at_ < text_.size()) advance();
  }

  void begin_key() {
    if (!key_) key_ = here();
  }

  Place here() const { return {line_, column_}; }

  void report(Place place, std::string message) {
    if (!hazard_) hazard_ = DocumentError{place, std::move(message)};
  }

  void advance() {
    const char c = text_[at_++];
    if (c == '\n') {
      ++line_, column_ = 1;
    } else if ((c & 0xc0) != 0x80) {  // columns count characters, not UTF-8 bytes
      ++column_;
    }
  }

  std::string_view text_;
  int parts_max_;
  size_t at_ = 0;
  uint32_t line_ = 1, column_ = 1;
  int dots_ = 0;
  Place key_;  // of the key that may have begun
  std::optional<DocumentError> hazard_;
};

}  // namespace

std::optional<DocumentError> find_hazard(std::string_view text, int key_parts_max) {
  return TextScanner(text, key_parts_max).scan();
}

}  // namespace sluice::ctrl

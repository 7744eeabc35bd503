#include "ctrl/config/key_guard.h"

#include <string>

namespace sluice::ctrl {
namespace {

// Follows just enough of TOML's lexical structure to tell a dot between key parts from a dot in a
// string or a comment.
class KeyScanner {
 public:
  KeyScanner(std::string_view text, int parts_max) : text_(text), parts_max_(parts_max) {}

  std::optional<Place> scan() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        skip_comment();
      } else if (c == '"' || c == '\'') {
        begin_key();
        skip_string(c);
      } else {
        step(c);
        if (dots_ >= parts_max_) return key_;
      }
    }
    return std::nullopt;
  }

 private:
  void step(char c) {
    advance();
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
      case '.':
        ++dots_;
        break;
      case ' ':
      case '\t':
      case '\r':
        break;
      default:
        if (!key_) key_ = {line_, column_ - 1};
    }
  }

  void begin_key() {
    if (!key_) key_ = {line_, column_};
  }

  void advance() {
    const char c = text_[at_++];
    if (c == '\n') {
      ++line_, column_ = 1;
    } else if ((c & 0xc0) != 0x80) {  // columns count characters, not UTF-8 bytes
      ++column_;
    }
  }

  void skip_comment() {
    while (at_ < text_.size() && text_[at_] != '\n') advance();
  }

  bool at_quotes(char quote, size_t count) const {
    return text_.substr(at_, count) == std::string(count, quote);
  }

  void skip_string(char quote) {
    const size_t quotes = at_quotes(quote, 3) ? 3 : 1;
    for (size_t i = 0; i < quotes; ++i) advance();
    while (at_ < text_.size()) {
      if (at_quotes(quote, quotes)) {
        for (size_t i = 0; i < quotes; ++i) advance();
        // A multi-line string may end in one or two quotes of its own: """say "hi""""".
        for (int i = 0; quotes == 3 && i < 2 && at_quotes(quote, 1); ++i) advance();
        return;
      }
      if (quotes == 1 && text_[at_] == '\n') return;  // a syntax error: the library stops here
      if (quote == '"' && text_[at_] == '\\' && at_ + 1 < text_.size()) advance();
      advance();
    }
  }

  std::string_view text_;
  int parts_max_;
  size_t at_ = 0;
  uint32_t line_ = 1, column_ = 1;
  int dots_ = 0;
  Place key_;
};

}  // namespace

std::optional<Place> find_deep_key(std::string_view text, int parts_max) {
  return KeyScanner(text, parts_max).scan();
}

}  // namespace sluice::ctrl

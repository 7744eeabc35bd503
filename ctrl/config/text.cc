#include "ctrl/config/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace sluice::ctrl {
namespace {

constexpr size_t slip_bytes_max = 64;  // longer words are no slips of the configuration's keys

// Length of the UTF-8 sequence at the start of `text`; 0 when it is not one (RFC 3629 §4).
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xed && byte(1) >= 0xa0;
  const bool past_end = lead == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || past_end ? 0 : length;
}

// U+0080..U+009F are control characters; U+2028 and U+2029 break lines; U+202A..U+202E and
// U+2066..U+2069 turn the reading direction and could make a message show something else.
bool unsafe_sequence(std::string_view sequence) {
  if (sequence.size() == 2) return sequence[0] == '\xc2' && uint8_t(sequence[1]) < 0xa0;
  if (sequence.size() != 3 || sequence[0] != '\xe2') return false;
  const uint8_t last = sequence[2];
  if (sequence[1] == '\x80') return last >= 0xa8 && last <= 0xae;
  return sequence[1] == '\x81' && last >= 0xa6 && last <= 0xa9;
}

void append_escaped(std::string& out, std::string_view bytes) {
  for (const char c : bytes) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
  }
}

// Optimal string alignment distance: Levenshtein and swaps of neighbours.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string printable(std::string_view text, size_t bytes_max) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= bytes_max) return out + "...";
    const size_t length = utf8_length(text);
    const std::string_view sequence = text.substr(0, std::max<size_t>(length, 1));
    const bool control = length == 1 && (uint8_t(text[0]) < 0x20 || text[0] == 0x7f);
    if (length == 0 || control || unsafe_sequence(sequence)) {
      append_escaped(out, sequence);
    } else {
      out += sequence;
    }
    text.remove_prefix(sequence.size());
  }
  return out;
}

std::string in_quotes(std::string_view text) {
  std::string escaped;
  for (const char c : text.substr(0, 256)) {
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return '"' + printable(escaped) + '"';
}

std::string in_quotes_list(std::span<const std::string_view> words, std::string_view last_joint) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? last_joint : ", ";
    out += in_quotes(words[i]);
  }
  return out;
}

std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known) {
  if (word.size() > slip_bytes_max) return std::nullopt;
  std::optional<std::string_view> best;
  size_t best_distance = SIZE_MAX;
  for (const std::string_view candidate : known) {
    const size_t longer = std::max(word.size(), candidate.size());
    const size_t distance = edit_distance(word, candidate);
    if (distance < best_distance && distance < longer &&
        distance <= std::max<size_t>(1, longer / 3)) {
      best = candidate, best_distance = distance;
    }
  }
  return best;
}

}  // namespace sluice::ctrl

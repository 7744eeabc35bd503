// Inputs as text of a language: bytes from `words_from` on stand for whole words of it, so that few
// bytes come past its first line; 0xf0 and above let the byte after them through as it is. What is
// behind `input_bytes_max` is cut: what matters is many inputs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sluice::test {

inline constexpr size_t input_bytes_max = 96;

inline std::string expand(std::span<const uint8_t> input, std::span<const std::string_view> words,
                          uint8_t words_from = 0x80) {
  input = input.first(std::min(input.size(), input_bytes_max));
  std::string text;
  for (size_t i = 0; i < input.size(); ++i) {
    if (input[i] >= 0xf0) {
      text += static_cast<char>(input[++i < input.size() ? i : input.size() - 1]);
    } else if (input[i] >= words_from) {
      text += words[input[i] % words.size()];
    } else {
      text += static_cast<char>(input[i]);
    }
  }
  return text;
}

}  // namespace sluice::test

// Words for messages about somebody's file: quoting that is safe to print whatever the bytes, and
// the nearest known word to a misspelt one. Pure; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice::ctrl {

/// Control characters and bytes that are not UTF-8 become \n, \t or \xNN, so that the result is one
/// line, prints safely and is valid in JSON. Cut after about `bytes_max` bytes ("...").
std::string printable(std::string_view text, size_t bytes_max = 80);

/// printable() within double quotes; inner quotes and backslashes are escaped.
std::string in_quotes(std::string_view text);

/// in_quotes() words as a sentence has them: "a", "b" or "c".
std::string in_quotes_list(std::span<const std::string_view> words, std::string_view last_joint);

/// The word nearest to `word` by edits (insert, remove, replace, swap neighbours), when it is near
/// enough to be a slip: at most a third of the length.
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known);

}  // namespace sluice::ctrl

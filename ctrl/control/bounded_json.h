// JSON from strangers: parsed only when its size and nesting are bounded, so that no text can
// exhaust the stack or the heap. Pure; any thread.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "dataplane/base/result.h"

namespace sluice::ctrl {

using Json = nlohmann::json;

inline constexpr size_t json_depth_max = 64;
inline constexpr size_t json_bytes_max = 8u << 20;

/// The deepest nesting of arrays and objects in `text`, without parsing it; brackets inside
/// strings do not count. "{}" is 1.
size_t json_depth(std::string_view text);

/// Fails when `text` is longer than json_bytes_max, nested deeper than json_depth_max, or no JSON.
Result<Json> parse_bounded(std::string_view text);

/// One line, whatever the strings hold (bytes that are no UTF-8 are replaced).
std::string to_line(const Json& value);

}  // namespace sluice::ctrl

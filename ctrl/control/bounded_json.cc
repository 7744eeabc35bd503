#include "ctrl/control/bounded_json.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::ctrl {

size_t json_depth(std::string_view text) {
  size_t depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        i++;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      depth--;
    }
  }
  return deepest;
}

Result<Json> parse_bounded(std::string_view text) {
  if (text.size() > json_bytes_max) {
    return fail(fmt::format("longer than {} bytes", json_bytes_max));
  }
  if (json_depth(text) > json_depth_max) {
    return fail(fmt::format("nested deeper than {} levels", json_depth_max));
  }
  Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) return fail("not valid JSON");
  return value;
}

std::string to_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sluice::ctrl

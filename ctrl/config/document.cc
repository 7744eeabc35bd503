#include "ctrl/config/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "ctrl/config/text_guard.h"

// The only source file that compiles the TOML library: it is header-only and slow to build.
#define TOML_EXCEPTIONS 0
#define TOML_MAX_NESTED_VALUES 16
// Its assertions fail on some malformed files, and would even be assumed true with NDEBUG and
// clang. Without them its own checks report the mistake one step later; the mutation test goes
// there.
#undef NDEBUG
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>

namespace sluice::ctrl {
namespace {

static_assert(TOML_MAX_NESTED_VALUES == config_nesting_max);

Place place_of(const toml::source_region& region) {
  return {region.begin.line, region.begin.column};
}

template <typename T>
std::string written(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

std::string written(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

DocumentNode convert(const toml::node& from);

void convert_table(const toml::table& from, DocumentNode& to) {
  to.kind = DocumentNode::Kind::table;
  to.entries.reserve(from.size());
  for (const auto& [key, value] : from) {
    to.entries.push_back({std::string(key.str()), place_of(key.source()), convert(value)});
  }
  std::ranges::stable_sort(to.entries, {}, [](const Entry& entry) {
    return std::pair(entry.place.line, entry.place.column);
  });
}

void convert_array(const toml::array& from, DocumentNode& to) {
  to.kind = DocumentNode::Kind::array;
  to.items.reserve(from.size());
  for (const toml::node& item : from) to.items.push_back(convert(item));
}

DocumentNode convert(const toml::node& from) {
  DocumentNode to;
  to.place = place_of(from.source());
  if (const auto* table = from.as_table()) {
    convert_table(*table, to);
  } else if (const auto* array = from.as_array()) {
    convert_array(*array, to);
  } else if (const auto* string = from.as_string()) {
    to.kind = DocumentNode::Kind::string, to.text = string->get();
  } else if (const auto* integer = from.as_integer()) {
    to.kind = DocumentNode::Kind::integer, to.integer = integer->get();
  } else if (const auto* real = from.as_floating_point()) {
    to.kind = DocumentNode::Kind::real, to.text = written(real->get());
  } else if (const auto* boolean = from.as_boolean()) {
    to.kind = DocumentNode::Kind::boolean, to.boolean = boolean->get();
  } else {
    to.kind = DocumentNode::Kind::date_time;
    if (const auto* date = from.as_date()) to.text = written(date->get());
    if (const auto* time = from.as_time()) to.text = written(time->get());
    if (const auto* both = from.as_date_time()) to.text = written(both->get());
  }
  return to;
}

std::expected<DocumentNode, DocumentError> parse_checked(std::string_view text) {
  if (text.size() > config_bytes_max) {
    return std::unexpected(DocumentError{
        {},
        fmt::format("the file has {} bytes, at most {} are read", text.size(), config_bytes_max)});
  }
  if (auto hazard = find_hazard(text, config_key_parts_max)) return std::unexpected(*hazard);
  const toml::parse_result result = toml::parse(text);
  if (result.failed()) {
    std::string message = "syntax error: " + std::string(result.error().description());
    constexpr std::string_view noise = ": Error while parsing";
    if (const size_t at = message.find(noise); at != std::string::npos) {
      message.replace(at, noise.size(), " in");
    }
    message.resize(std::min(message.size(), message.find(" (TOML_MAX")));  // not for people
    return std::unexpected(DocumentError{place_of(result.error().source()), std::move(message)});
  }
  DocumentNode root;
  root.place = {1, 1};
  convert_table(result.table(), root);
  return root;
}

}  // namespace

std::expected<DocumentNode, DocumentError> parse_document(std::string_view text) {
  try {
    return parse_checked(text);
  } catch (const std::exception& exception) {  // out of memory, above all
    return std::unexpected(
        DocumentError{{}, fmt::format("the file cannot be read: {}", exception.what())});
  }
}

}  // namespace sluice::ctrl

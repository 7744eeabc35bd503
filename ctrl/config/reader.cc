#include "ctrl/config/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "ctrl/config/duration.h"
#include "ctrl/config/text.h"

namespace sluice::ctrl {
namespace {

bool contains(std::span<const std::string_view> words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

bool is_bare_key(std::string_view key) {
  return !key.empty() && std::ranges::all_of(key, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

// "`a`, `b`, `c`"
std::string key_list(std::span<const std::string_view> keys) {
  return fmt::format("`{}`", fmt::join(keys, "`, `"));
}

}  // namespace

void Mistakes::add(Place place, std::string_view key, std::string_view message) {
  if (errors_.size() >= config_errors_max) {
    ++dropped_;
    return;
  }
  errors_.push_back(
      {file_, place.line, place.column, printable(key, 512), printable(message, 4096)});
}

std::vector<ConfigError> Mistakes::take() {
  std::ranges::stable_sort(errors_, {}, [](const ConfigError& error) {
    return std::tuple(error.line == 0, error.line, error.column);
  });
  if (dropped_ > 0) {
    errors_.push_back({file_, 0, 0, "", fmt::format("and {} more mistakes", dropped_)});
  }
  return std::move(errors_);
}

void Value::reject_found(std::string_view expected) const {
  reject(fmt::format("must be {}, got {}", expected, describe(*node_)));
}

std::string Value::where() const { return fmt::format("{} (line {})", key_, node_->place.line); }

std::optional<uint64_t> Value::integer(uint64_t min, uint64_t max) const {
  const int64_t number = node_->integer;
  if (node_->kind == DocumentNode::Kind::integer && number >= 0 && uint64_t(number) >= min &&
      uint64_t(number) <= max) {
    return uint64_t(number);
  }
  reject_found(fmt::format("an integer {}..{}", min, max));
  return std::nullopt;
}

std::optional<std::string> Value::text(size_t bytes_max) const {
  if (node_->kind != DocumentNode::Kind::string) {
    reject_found("a string");
  } else if (node_->text.empty()) {
    reject("must not be empty");
  } else if (node_->text.size() > bytes_max) {
    reject(fmt::format("must have at most {} bytes, got {}", bytes_max, node_->text.size()));
  } else if (std::ranges::any_of(node_->text,
                                 [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    reject_found("a string without control characters");
  } else {
    return node_->text;
  }
  return std::nullopt;
}

std::optional<uint64_t> Value::duration_ms(uint64_t min, uint64_t max) const {
  const auto ms = parse_duration_ms(node_->kind == DocumentNode::Kind::string ? node_->text : "");
  if (ms && *ms >= min && *ms <= max) return *ms;
  reject_found(fmt::format("a duration {}..{}, such as \"10s\", \"500ms\" or \"2h\"",
                           format_duration_ms(min), format_duration_ms(max)));
  return std::nullopt;
}

std::optional<size_t> Value::choice(std::span<const std::string_view> supported,
                                    std::span<const std::string_view> known) const {
  if (node_->kind == DocumentNode::Kind::string) {
    const auto found = std::ranges::find(supported, node_->text);
    if (found != supported.end()) return found - supported.begin();
    if (contains(known, node_->text)) {
      reject(fmt::format("{} is not supported by this version, {} {}", in_quotes(node_->text),
                         in_quotes_list(supported, " and "), supported.size() == 1 ? "is" : "are"));
      return std::nullopt;
    }
  }
  reject_found(in_quotes_list(supported, " or "));
  return std::nullopt;
}

std::optional<std::vector<Value>> Value::items(std::string_view items_name, size_t min,
                                               size_t max) const {
  if (node_->kind != DocumentNode::Kind::array) {
    reject_found(fmt::format("an array of {}", items_name));
    return std::nullopt;
  }
  const size_t count = node_->items.size();
  if (count < min || count > max) {
    reject(fmt::format("must hold {}..{} {}, got {}", min, max, items_name, count));
    return std::nullopt;
  }
  std::vector<Value> values;
  values.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    values.emplace_back(node_->items[i], fmt::format("{}[{}]", key_, i), *mistakes_);
  }
  return values;
}

std::vector<Value> Value::tables(size_t min, size_t max) const {
  if (is_table()) {
    reject("is an array of tables, write its header with two brackets");
    return {};
  }
  return items("tables", min, max).value_or(std::vector<Value>{});
}

TableReader::TableReader(const Value& table) : table_(table), is_table_(table.is_table()) {
  if (!is_table_) table_.reject_found("a table");
}

std::string TableReader::key_path(std::string_view key) const {
  const std::string name = is_bare_key(key) ? printable(key) : in_quotes(key);
  return table_.key().empty() ? name : fmt::format("{}.{}", table_.key(), name);
}

std::optional<Value> TableReader::optional(std::string_view key) {
  known_.push_back(key);
  for (const Entry& entry : table_.node().entries) {
    if (entry.key == key) return Value(entry.value, key_path(key), table_.mistakes());
  }
  return std::nullopt;
}

std::optional<Value> TableReader::required(std::string_view key) {
  auto value = optional(key);
  if (!value && is_table_) {
    table_.mistakes().add(table_.node().place, key_path(key), "required, but missing");
  }
  return value;
}

void TableReader::unsupported(std::initializer_list<std::string_view> keys) {
  unsupported_.insert(unsupported_.end(), keys.begin(), keys.end());
}

bool TableReader::uses_unsupported() const {
  return std::ranges::any_of(table_.node().entries,
                             [&](const Entry& entry) { return contains(unsupported_, entry.key); });
}

void TableReader::finish() const {
  for (const Entry& entry : table_.node().entries) {
    if (contains(known_, entry.key)) continue;
    const bool suggest = table_.mistakes().count() < suggestions_max;
    std::string message = fmt::format("unknown key `{}`", printable(entry.key));
    if (contains(unsupported_, entry.key)) {
      message = "not supported by this version";
    } else if (const auto slip = suggest ? nearest(entry.key, known_) : std::nullopt) {
      message += fmt::format("; did you mean `{}`?", *slip);
    } else {
      message += "; known here: " + key_list(known_);
    }
    table_.mistakes().add(entry.place, key_path(entry.key), message);
  }
}

std::string describe(const DocumentNode& node) {
  switch (node.kind) {
    case DocumentNode::Kind::table:
      return "a table";
    case DocumentNode::Kind::array:
      return fmt::format("an array of {}", node.items.size());
    case DocumentNode::Kind::string:
      return in_quotes(node.text);
    case DocumentNode::Kind::integer:
      return fmt::format("{}", node.integer);
    case DocumentNode::Kind::real:
    case DocumentNode::Kind::date_time:
      return node.text;
    case DocumentNode::Kind::boolean:
      return node.boolean ? "true" : "false";
  }
  return {};
}

}  // namespace sluice::ctrl

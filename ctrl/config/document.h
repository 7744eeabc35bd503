// Document: a TOML text as a tree of values that know their place. It keeps the TOML library
// behind one source file, and its hazards too: size, nesting and every exception end here.
// Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::ctrl {

inline constexpr size_t config_bytes_max = 4u << 20;
inline constexpr int config_nesting_max = 16;  // arrays and inline tables within each other
inline constexpr int config_key_parts_max = 8;

/// Line and column start at 1; line 0 means nowhere.
struct Place {
  uint32_t line = 0;
  uint32_t column = 0;
  explicit operator bool() const { return line != 0; }
};

struct Entry;

struct DocumentNode {
  enum class Kind : uint8_t { table, array, string, integer, real, boolean, date_time };
  Kind kind = Kind::table;
  Place place;
  std::vector<Entry> entries;       // of a table, in file order
  std::vector<DocumentNode> items;  // of an array
  std::string text;                 // of a string; of a real or date_time: as TOML writes it
  int64_t integer = 0;
  bool boolean = false;
};

struct Entry {
  std::string key;
  Place place;  // of the key
  DocumentNode value;
};

struct DocumentError {
  Place place;
  std::string message;
};

/// The root table, or the first syntax error. Never throws, whatever the bytes.
std::expected<DocumentNode, DocumentError> parse_document(std::string_view text);

}  // namespace sluice::ctrl

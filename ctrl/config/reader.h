// Reader: takes typed values out of a Document and notes every mistake on the way, so that one run
// finds them all. Whoever asks a TableReader for a key has thereby made it known; what nobody
// asked for is an unknown key. Used by the read_*.cc files; a document's own thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ctrl/config/config.h"
#include "ctrl/config/document.h"

namespace sluice::ctrl {

inline constexpr size_t config_errors_max = 1000;  // more are counted, not kept
inline constexpr size_t suggestions_max = 100;     // looking for what was meant takes time

/// The mistakes of one file.
class Mistakes {
 public:
  explicit Mistakes(std::string_view file) : file_(file) {}
  void add(Place place, std::string_view key, std::string_view message);
  size_t count() const { return errors_.size() + dropped_; }
  /// In file order; those without a place come last.
  std::vector<ConfigError> take();

 private:
  std::string file_;
  std::vector<ConfigError> errors_;
  size_t dropped_ = 0;
};

/// A value of the document and its dotted key. The readers return nothing for a bad value, and
/// have reported it then. Refers to the document and the Mistakes, which outlive it.
class Value {
 public:
  Value(const DocumentNode& node, std::string key, Mistakes& mistakes)
      : node_(&node), key_(std::move(key)), mistakes_(&mistakes) {}

  const DocumentNode& node() const { return *node_; }
  const std::string& key() const { return key_; }
  Mistakes& mistakes() const { return *mistakes_; }

  void reject(std::string_view message) const { mistakes_->add(node_->place, key_, message); }
  /// reject("must be EXPECTED, got FOUND").
  void reject_found(std::string_view expected) const;
  /// "listener[0].name (line 12)", to point at this place from a message about another one.
  std::string where() const;

  std::optional<uint64_t> integer(uint64_t min, uint64_t max) const;
  /// A string of 1 to `bytes_max` bytes without control characters.
  std::optional<std::string> text(size_t bytes_max) const;
  /// A duration as milliseconds.
  std::optional<uint64_t> duration_ms(uint64_t min, uint64_t max) const;
  /// Index into `supported`; words of `known` that are not supported are told from unknown ones.
  std::optional<size_t> choice(std::span<const std::string_view> supported,
                               std::span<const std::string_view> known = {}) const;
  /// The items of an array of min to max `items_name`s.
  std::optional<std::vector<Value>> items(std::string_view items_name, size_t min,
                                          size_t max) const;
  /// The items of an array of tables, as [[key]] writes it.
  std::vector<Value> tables(size_t min, size_t max) const;
  bool is_table() const { return node_->kind == DocumentNode::Kind::table; }

 private:
  const DocumentNode* node_;
  std::string key_;
  Mistakes* mistakes_;
};

/// Reads one table. Every key is asked for once, then finish() reports the ones nobody asked for.
class TableReader {
 public:
  /// A value that is not a table is reported, and reads as an empty one that lacks nothing.
  explicit TableReader(const Value& table);

  bool is_table() const { return is_table_; }
  const Value& self() const { return table_; }
  std::optional<Value> optional(std::string_view key);
  /// Reports the key when it is missing.
  std::optional<Value> required(std::string_view key);
  /// Reports the keys that later versions know, when they are used.
  void unsupported(std::initializer_list<std::string_view> keys);
  /// True when the table has one of the keys told to unsupported().
  bool uses_unsupported() const;
  void finish() const;

 private:
  std::string key_path(std::string_view key) const;

  Value table_;
  bool is_table_;
  std::vector<std::string_view> known_;
  std::vector<std::string_view> unsupported_;
};

/// What a value is, for "got ...": `"80"`, `80`, `true`, "a table".
std::string describe(const DocumentNode& node);

}  // namespace sluice::ctrl

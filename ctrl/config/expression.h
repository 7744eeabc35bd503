// Expression: a regular expression for bytes that somebody else sent, matched by Hyperscan: time
// linear in the input whatever the expression, memory fixed when it is compiled. "." also takes
// line ends; no backreferences and lookarounds. Not bound to a thread, but one search at a time:
// searches share the expression's scratch memory.
#pragma once

#include <memory>
#include <string_view>

#include "dataplane/base/result.h"

struct hs_database;
struct hs_scratch;
struct hs_stream;

namespace sluice::ctrl {

inline constexpr size_t expression_bytes_max = 512;

class Expression {
 public:
  /// Fails with Hyperscan's own sentence: not an expression, not supported, too large, or one
  /// that the empty text already matches.
  static Result<std::shared_ptr<const Expression>> compile(std::string_view text);
  ~Expression();
  Expression(const Expression&) = delete;
  Expression& operator=(const Expression&) = delete;

 private:
  friend class ExpressionSearch;
  Expression() = default;
  hs_database* database_ = nullptr;
  hs_scratch* scratch_ = nullptr;
};

/// Searches a text that comes in pieces.
class ExpressionSearch {
 public:
  explicit ExpressionSearch(std::shared_ptr<const Expression> expression);
  ~ExpressionSearch();
  ExpressionSearch(const ExpressionSearch&) = delete;
  ExpressionSearch& operator=(const ExpressionSearch&) = delete;

  /// True as soon as the expression was found; then the rest need not be fed.
  bool feed(std::string_view piece);
  /// The text has ended: what "$" waits for. Nothing may be fed afterwards.
  bool finish();
  bool found() const { return found_; }

 private:
  std::shared_ptr<const Expression> expression_;
  hs_stream* stream_ = nullptr;
  bool found_ = false;
};

}  // namespace sluice::ctrl

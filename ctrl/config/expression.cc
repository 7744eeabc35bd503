#include "ctrl/config/expression.h"

#include <fmt/format.h>
#include <hs/hs.h>

#include <string>
#include <utility>

#include "ctrl/config/text.h"

namespace sluice::ctrl {
namespace {

int note_match(unsigned, unsigned long long, unsigned long long, unsigned, void* context) {
  *static_cast<bool*>(context) = true;
  return 1;  // no more
}

std::string reason_of(hs_compile_error_t* error) {
  std::string reason = error == nullptr ? "unknown" : error->message;
  ::hs_free_compile_error(error);
  if (reason.contains("HS_FLAG_ALLOWEMPTY")) reason = "it matches the empty text";
  if (reason.ends_with('.')) reason.pop_back();
  return reason;
}

}  // namespace

Result<std::shared_ptr<const Expression>> Expression::compile(std::string_view text) {
  if (text.size() > expression_bytes_max) {
    return fail(fmt::format("an expression has at most {} bytes", expression_bytes_max));
  }
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return fail("an expression cannot hold a 0 byte");
  std::shared_ptr<Expression> expression(new Expression);
  hs_compile_error_t* error = nullptr;
  const hs_error_t compiled = ::hs_compile(terminated.c_str(), HS_FLAG_SINGLEMATCH | HS_FLAG_DOTALL,
                                           HS_MODE_STREAM, nullptr, &expression->database_, &error);
  if (compiled != HS_SUCCESS) {
    return fail(fmt::format("the expression {} is refused: {}", in_quotes(text), reason_of(error)));
  }
  if (::hs_alloc_scratch(expression->database_, &expression->scratch_) != HS_SUCCESS) {
    return fail("no memory for an expression");
  }
  return std::shared_ptr<const Expression>(std::move(expression));
}

Expression::~Expression() {
  ::hs_free_scratch(scratch_);
  ::hs_free_database(database_);
}

ExpressionSearch::ExpressionSearch(std::shared_ptr<const Expression> expression)
    : expression_(std::move(expression)) {
  // Without memory nothing is found: the check fails rather than passes.
  if (::hs_open_stream(expression_->database_, 0, &stream_) != HS_SUCCESS) stream_ = nullptr;
}

ExpressionSearch::~ExpressionSearch() {
  if (stream_ != nullptr) ::hs_close_stream(stream_, expression_->scratch_, nullptr, nullptr);
}

bool ExpressionSearch::feed(std::string_view piece) {
  if (found_ || stream_ == nullptr) return found_;
  ::hs_scan_stream(stream_, piece.data(), static_cast<unsigned>(piece.size()), 0,
                   expression_->scratch_, note_match, &found_);
  return found_;
}

bool ExpressionSearch::finish() {
  if (stream_ == nullptr) return found_;
  bool at_end = false;
  ::hs_close_stream(std::exchange(stream_, nullptr), expression_->scratch_, note_match, &at_end);
  found_ = found_ || at_end;
  return found_;
}

}  // namespace sluice::ctrl

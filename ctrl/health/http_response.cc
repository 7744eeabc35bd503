#include "ctrl/health/http_response.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "ctrl/config/text.h"

namespace sluice::ctrl {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_token_byte(char c) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || marks.contains(c);
}

/// field-vchar, SP, HTAB and obs-text (RFC 9110, section 5.5).
bool is_text_byte(char c) { return c == '\t' || (static_cast<uint8_t>(c) >= 0x20 && c != 0x7f); }

bool same_word(std::string_view a, std::string_view lower) {
  return std::ranges::equal(a, lower, [](char x, char y) {
    return (x >= 'A' && x <= 'Z' ? static_cast<char>(x + ('a' - 'A')) : x) == y;
  });
}

std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

bool HttpResponse::fail(std::string message) {
  error_ = std::move(message);
  state_ = State::failed;
  return false;
}

HttpResponse::State HttpResponse::feed(std::string_view bytes, const BodySink& body) {
  while (!bytes.empty() && (state_ == State::head || state_ == State::body)) {
    switch (part_) {
      case Part::fixed:
      case Part::chunk_data:
      case Part::until_close:
        take_body(bytes, body);
        break;
      default:
        if (take_line(bytes) && line_complete()) line_.clear();
    }
  }
  return state_;
}

HttpResponse::State HttpResponse::end() {
  if (state_ == State::body && part_ == Part::until_close) {
    state_ = State::done;
  } else if (state_ == State::head) {
    fail(head_bytes_ == 0 ? "closed without an answer" : "closed within the head of the answer");
  } else if (state_ == State::body) {
    fail("closed within the body of the answer");
  }
  return state_;
}

/// True when line_ holds a whole line, without its CRLF.
bool HttpResponse::take_line(std::string_view& bytes) {
  const size_t at = bytes.find('\n');
  const std::string_view piece = bytes.substr(0, at);
  if (line_.size() + piece.size() > response_line_bytes_max) {
    return fail(fmt::format("a line of more than {} bytes", response_line_bytes_max));
  }
  line_.append(piece);
  bytes.remove_prefix(at == std::string_view::npos ? bytes.size() : at + 1);
  if (part_ == Part::status_line || part_ == Part::header || part_ == Part::trailer) {
    head_bytes_ += piece.size() + 1;
    if (head_bytes_ > response_head_bytes_max) {
      return fail(fmt::format("a head of more than {} bytes", response_head_bytes_max));
    }
  }
  if (at == std::string_view::npos) return false;
  if (line_.empty() || line_.back() != '\r') return fail("a line that does not end with CR LF");
  line_.pop_back();
  return true;
}

bool HttpResponse::line_complete() {
  switch (part_) {
    case Part::status_line:
      return status_line();
    case Part::header:
      return line_.empty() ? head_complete() : header_line();
    case Part::chunk_size:
      return chunk_size_line();
    case Part::chunk_end:
      if (!line_.empty()) return fail("a chunk longer than it says");
      part_ = Part::chunk_size;
      return true;
    default:  // trailer: nothing in it matters to a check
      if (line_.empty()) state_ = State::done;
      if (++headers_ > response_headers_max) return fail("too many headers");
      return true;
  }
}

/// "HTTP/1.1 200 OK"; the reason may be missing together with its space.
bool HttpResponse::status_line() {
  const std::string_view line = line_;
  const bool version = line.starts_with("HTTP/1.0 ") || line.starts_with("HTTP/1.1 ");
  if (!version) {
    return fail(fmt::format("not an HTTP/1 answer: {}", in_quotes(line.substr(0, 40))));
  }
  const std::string_view code = line.substr(9, 3);
  const bool ends = line.size() == 12 || (line.size() > 12 && line[12] == ' ');
  if (code.size() != 3 || !std::ranges::all_of(code, is_digit) || code[0] < '1' || code[0] > '5' ||
      !ends || !std::ranges::all_of(line, is_text_byte)) {
    return fail(fmt::format("not a status line: {}", in_quotes(line.substr(0, 40))));
  }
  std::from_chars(code.data(), code.data() + 3, status_);
  part_ = Part::header;
  return true;
}

bool HttpResponse::header_line() {
  if (++headers_ > response_headers_max) return fail("too many headers");
  const std::string_view line = line_;
  const size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == std::string_view::npos || name.empty() ||
      !std::ranges::all_of(name, is_token_byte)) {
    return fail(fmt::format("not a header: {}", in_quotes(line.substr(0, 40))));
  }
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (!std::ranges::all_of(value, is_text_byte)) {
    return fail(fmt::format("control characters in header {}", in_quotes(name)));
  }
  if (same_word(name, "transfer-encoding")) {
    if (chunked_ || !same_word(value, "chunked")) {
      return fail(fmt::format("transfer-encoding {}", in_quotes(value)));
    }
    chunked_ = true;
  } else if (same_word(name, "content-length")) {
    uint64_t length = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
    const bool whole = !value.empty() && end == value.data() + value.size();
    if (!whole || error != std::errc{} || (length_ && *length_ != length)) {
      return fail(fmt::format("content-length {}", in_quotes(value)));
    }
    length_ = length;
  }
  return true;
}

/// Which body follows: RFC 9112, section 6.3.
bool HttpResponse::head_complete() {
  if (chunked_ && length_) return fail("both transfer-encoding and content-length");
  if (status_ < 200) {
    if (status_ == 101) return fail("101 without having been asked");
    if (++interim_ > response_interim_max) return fail("too many interim answers");
    part_ = Part::status_line;
    status_ = 0;
    chunked_ = false;
    length_.reset();
    return true;
  }
  state_ = State::body;
  if (head_request_ || status_ == 204 || status_ == 304 || (length_ && *length_ == 0)) {
    state_ = State::done;
  } else if (chunked_) {
    part_ = Part::chunk_size;
  } else {
    part_ = length_ ? Part::fixed : Part::until_close;
    part_left_ = length_.value_or(std::numeric_limits<uint64_t>::max());
  }
  return true;
}

/// chunk-size [ chunk-ext ]; extensions are ignored, as RFC 9112, section 7.1.1, asks.
bool HttpResponse::chunk_size_line() {
  const char* const begin = line_.data();
  const char* const end = begin + line_.size();
  uint64_t size = 0;
  const auto [at, error] = std::from_chars(begin, end, size, 16);
  const bool ends = at == end || *at == ';' || *at == ' ' || *at == '\t';
  if (error != std::errc{} || at - begin > 15 || !ends ||
      !std::ranges::all_of(line_, is_text_byte)) {
    return fail(fmt::format("chunk size {}", in_quotes(std::string_view(line_).substr(0, 40))));
  }
  part_ = size == 0 ? Part::trailer : Part::chunk_data;
  part_left_ = size;
  return true;
}

void HttpResponse::take_body(std::string_view& bytes, const BodySink& body) {
  const uint64_t room = std::min(part_left_, body_left_max_);
  const std::string_view piece = bytes.substr(0, std::min<uint64_t>(bytes.size(), room));
  bytes.remove_prefix(piece.size());
  part_left_ -= piece.size();
  body_left_max_ -= piece.size();
  if (!piece.empty() && body) body(piece);
  if (part_left_ == 0) {
    if (part_ == Part::fixed) state_ = State::done;
    if (part_ == Part::chunk_data) part_ = Part::chunk_end;
  } else if (body_left_max_ == 0) {
    is_cut_ = true;
    state_ = State::done;
  }
}

}  // namespace sluice::ctrl

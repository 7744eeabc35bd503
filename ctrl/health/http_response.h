// HttpResponse: reads one HTTP/1.x response (RFC 9112) as it comes, for a check that wants the
// status and perhaps a body. Strict: what RFC 9112 calls invalid, and everything that two readers
// could understand differently (bare LF, folded lines, two lengths), is an error with a sentence.
// Memory is bounded by the constants below; the body is handed on, never kept. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::ctrl {

inline constexpr size_t response_line_bytes_max = 8'192;
inline constexpr size_t response_head_bytes_max = 32'768;  // status line and headers, interim too
inline constexpr unsigned response_headers_max = 100;
inline constexpr unsigned response_interim_max = 8;

class HttpResponse {
 public:
  enum class State : uint8_t {
    head,    // the status line and headers are not complete
    body,    // status() is known, the body is not complete
    done,    // the whole response was read
    failed,  // error() says why
  };
  using BodySink = std::function<void(std::string_view piece)>;

  /// `head_request`: the answer has no body, whatever it says. After `body_bytes_max` bytes of
  /// body the response counts as done and is_cut() is true.
  HttpResponse(bool head_request, uint64_t body_bytes_max)
      : head_request_(head_request), body_left_max_(body_bytes_max) {}

  /// Takes the next bytes. What comes after the response is ignored.
  State feed(std::string_view bytes, const BodySink& body);
  /// The peer has closed: the end of a body without a length, else an error.
  State end();

  State state() const { return state_; }
  int status() const { return status_; }  // 0: not known yet
  const std::string& error() const { return error_; }
  bool is_cut() const { return is_cut_; }

 private:
  enum class Part : uint8_t {
    status_line,
    header,
    fixed,
    until_close,
    chunk_size,
    chunk_data,
    chunk_end,
    trailer
  };

  bool fail(std::string message);
  bool take_line(std::string_view& bytes);
  bool line_complete();
  bool status_line();
  bool header_line();
  bool head_complete();
  bool chunk_size_line();
  void take_body(std::string_view& bytes, const BodySink& body);

  State state_ = State::head;
  Part part_ = Part::status_line;
  bool head_request_;
  bool is_cut_ = false;
  bool chunked_ = false;
  std::optional<uint64_t> length_;
  uint64_t body_left_max_;
  uint64_t part_left_ = 0;  // of a body or chunk of known length
  int status_ = 0;
  unsigned headers_ = 0, interim_ = 0;
  size_t head_bytes_ = 0;
  std::string line_;
  std::string error_;
};

}  // namespace sluice::ctrl

// HttpResponse: takes the bytes of one HTTP/1.1 response with a Content-Length as they come and
// keeps what the tests ask for: the status and who answered (X-Stack, X-Backend).
#pragma once

#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>

namespace sluice::e2e {

class HttpResponse {
 public:
  /// Takes more bytes; true once the response is complete.
  bool add(std::string_view bytes) {
    bytes_ += bytes;
    if (body_at_ == std::string::npos) {
      const size_t end = bytes_.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      body_at_ = end + 4;
      body_bytes_ = static_cast<size_t>(std::atol(header("Content-Length").c_str()));
    }
    return complete();
  }

  bool complete() const {
    return body_at_ != std::string::npos && bytes_.size() >= body_at_ + body_bytes_;
  }
  bool started() const { return !bytes_.empty(); }
  bool ok() const { return bytes_.starts_with("HTTP/1.1 200 "); }

  /// "-" when the header is not there.
  std::string header(std::string_view name) const {
    const std::string mark = "\r\n" + std::string(name) + ": ";
    const size_t at = bytes_.find(mark);
    if (at == std::string::npos || at > body_at_) return "-";
    const size_t begin = at + mark.size();
    return bytes_.substr(begin, bytes_.find('\r', begin) - begin);
  }

  void clear() { *this = HttpResponse(); }

 private:
  std::string bytes_;
  size_t body_at_ = std::string::npos;
  size_t body_bytes_ = 0;
};

}  // namespace sluice::e2e

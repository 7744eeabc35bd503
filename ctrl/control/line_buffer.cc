#include "ctrl/control/line_buffer.h"

namespace sluice::ctrl {

bool LineBuffer::append(std::string_view bytes) {
  if (skipping_) {
    const size_t newline = bytes.find('\n');
    if (newline == std::string_view::npos) return true;
    bytes.remove_prefix(newline + 1);
    skipping_ = false;
  }
  release();
  if (const size_t last = bytes.rfind('\n'); last != std::string_view::npos) {
    open_ = bytes_.size() + last + 1;
  }
  bytes_ += bytes;
  if (bytes_.size() - open_ <= line_bytes_max_) return true;
  skip_line();
  return false;
}

std::optional<std::string_view> LineBuffer::next() {
  if (taken_ == open_) return std::nullopt;
  const size_t newline = bytes_.find('\n', taken_);
  const std::string_view line = std::string_view(bytes_).substr(taken_, newline - taken_);
  taken_ = newline + 1;
  return line;
}

std::string LineBuffer::rest() {
  std::string left = bytes_.substr(open_);
  bytes_.resize(open_);
  return left;
}

void LineBuffer::skip_line() {
  bytes_.resize(open_);
  bytes_.shrink_to_fit();
  skipping_ = true;
}

void LineBuffer::release() {
  if (taken_ == 0) return;
  bytes_.erase(0, taken_);
  open_ -= taken_;
  taken_ = 0;
  if (bytes_.empty()) bytes_ = std::string();
}

}  // namespace sluice::ctrl

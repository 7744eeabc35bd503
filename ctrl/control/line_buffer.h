// LineBuffer: bytes from a stream cut into lines of a bounded length. A longer line is reported
// once and its rest thrown away, so that the stream goes on with the next line. ctrl thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::ctrl {

class LineBuffer {
 public:
  explicit LineBuffer(size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}

  /// False when the line that is being received has just become too long.
  [[nodiscard]] bool append(std::string_view bytes);
  /// The next whole line without its newline; valid until append(), release() or rest().
  std::optional<std::string_view> next();
  /// What came after the last newline, at the end of the stream; empties the buffer.
  std::string rest();
  /// Throws away the line that is being received: what is there and what is still to come.
  void skip_line();
  /// Gives back the memory of lines that were taken.
  void release();

  size_t bytes() const { return bytes_.size(); }

 private:
  size_t line_bytes_max_;
  std::string bytes_;
  size_t taken_ = 0;  // start of the first line that was not taken
  size_t open_ = 0;   // start of the line that is being received
  bool skipping_ = false;
};

}  // namespace sluice::ctrl

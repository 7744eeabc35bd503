#include "nic/stderr_capture.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string_view>

namespace sluice::nic {

StderrCapture::StderrCapture() {
  std::fflush(stderr);
  memory_fd_ = memfd_create("stderr", MFD_CLOEXEC);
  if (memory_fd_ < 0) return;  // then the lines simply appear where they always would
  saved_fd_ = dup(STDERR_FILENO);
  dup2(memory_fd_, STDERR_FILENO);
}

std::vector<std::string> StderrCapture::stop() {
  std::vector<std::string> lines;
  if (memory_fd_ < 0) return lines;
  std::fflush(stderr);
  if (saved_fd_ >= 0) {
    dup2(saved_fd_, STDERR_FILENO);
    close(saved_fd_);
  } else {
    close(STDERR_FILENO);  // it was closed before
  }
  std::string text;
  std::array<char, 4096> chunk{};
  lseek(memory_fd_, 0, SEEK_SET);
  for (ssize_t got = 0; (got = read(memory_fd_, chunk.data(), chunk.size())) > 0;) {
    text.append(chunk.data(), static_cast<size_t>(got));
  }
  close(memory_fd_);
  memory_fd_ = saved_fd_ = -1;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = rest.find('\n');
    if (end != 0) lines.emplace_back(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return lines;
}

}  // namespace sluice::nic

#include "nic/stderr_capture.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <string_view>

namespace sluice::nic {
namespace {

// For the signal handler: an abort must not take its own reason along.
volatile sig_atomic_t real_stderr = -1;
volatile sig_atomic_t captured_stderr = -1;

void print_captured(int) {
  std::array<char, 1024> chunk;
  off_t offset = 0;
  for (ssize_t got = 0; (got = pread(captured_stderr, chunk.data(), chunk.size(), offset)) > 0;) {
    if (write(real_stderr, chunk.data(), static_cast<size_t>(got)) < 0) break;
    offset += got;
  }
}

}  // namespace

StderrCapture::StderrCapture() {
  std::fflush(stderr);
  memory_fd_ = memfd_create("stderr", MFD_CLOEXEC);
  if (memory_fd_ < 0) return;  // then the lines simply appear where they always would
  saved_fd_ = dup(STDERR_FILENO);
  real_stderr = saved_fd_;
  captured_stderr = memory_fd_;
  abort_handler_ = std::signal(SIGABRT, print_captured);
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
  std::signal(SIGABRT, abort_handler_);
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

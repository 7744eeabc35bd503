// StderrCapture: the EAL prints its fatal errors to stderr past its own log. While this object
// lives, stderr goes to memory; afterwards the lines are there to be logged once (or printed, when
// the call aborts). Use it around single calls at start, before the program has other threads.
#pragma once

#include <string>
#include <vector>

namespace sluice::nic {

class StderrCapture {
 public:
  StderrCapture();
  ~StderrCapture() { stop(); }
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;

  /// Gives stderr back and returns the lines that were written to it.
  std::vector<std::string> stop();

 private:
  int saved_fd_ = -1;
  int memory_fd_ = -1;
  void (*abort_handler_)(int) = nullptr;  // the one before
};

}  // namespace sluice::nic

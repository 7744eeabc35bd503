#include "dataplane/wake.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace sluice::dataplane {

Sleeper::~Sleeper() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

Status Sleeper::open() {
  fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd_ < 0) {
    return fail(std::string("eventfd: ") + std::strerror(errno));
  }
  return {};
}

void Sleeper::cancel() {
  asleep_.store(false, std::memory_order_relaxed);
  uint64_t count;
  // Nothing to read is the usual case: the timeout or a device ended the sleep.
  [[maybe_unused]] ssize_t got = read(fd_, &count, sizeof(count));
}

void Sleeper::signal() {
  // Of several producers one writes; the others find the flag down. cancel() and announce() set
  // it again for the next sleep.
  if (asleep_.exchange(false, std::memory_order_relaxed)) {
    const uint64_t one = 1;
    [[maybe_unused]] ssize_t put = write(fd_, &one, sizeof(one));
  }
}

}  // namespace sluice::dataplane

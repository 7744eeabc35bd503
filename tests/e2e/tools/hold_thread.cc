// hold_thread: stops one thread of a process for a while, as a core that the machine took away
// would. Attaches with ptrace, prints "held", sleeps, lets go. (SIGSTOP would stop the whole
// process.) hold_thread --tid 1234 --milliseconds 3000
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/e2e/tools/arguments.h"
#include "tests/e2e/tools/sockets.h"

int main(int argc, char** argv) {
  using namespace sluice::e2e;
  const Arguments arguments(argc, argv);
  const auto tid = static_cast<pid_t>(arguments.number("tid"));
  const std::chrono::milliseconds duration(arguments.number("milliseconds"));
  if (ptrace(PTRACE_SEIZE, tid, nullptr, nullptr) != 0) die("ptrace seize");
  if (ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr) != 0) die("ptrace interrupt");
  int status = 0;
  if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status)) die("wait for the thread");
  std::printf("held\n");
  std::fflush(stdout);
  std::this_thread::sleep_for(duration);
  if (ptrace(PTRACE_DETACH, tid, nullptr, nullptr) != 0) die("ptrace detach");
  std::printf("released\n");
}

// Network namespaces for tests: the test's own, and a peer at the other end of a veth pair. Both
// vanish with the process. Needs root.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace sluice::ctrl::test {

/// What the command printed; a failure of the command is one of the test.
inline std::string sh(const std::string& command) {
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::string text;
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
  const int status = ::pclose(pipe);
  EXPECT_EQ(status, 0) << command << ": " << text;
  return text;
}

inline void set_sysctl(const std::string& path, const std::string& value) {
  sh("echo " + value + " > /proc/sys/net/" + path);
}

/// A namespace held by a child process that does nothing.
class PeerNamespace {
 public:
  PeerNamespace() {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const char ok = ::unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
      if (::write(ready[1], &ok, 1) != 1) ::_exit(1);
      while (true) ::pause();
    }
    char ok = 'n';
    EXPECT_EQ(::read(ready[0], &ok, 1), 1);
    EXPECT_EQ(ok, 'y');
    ::close(ready[0]);
    ::close(ready[1]);
    run("ip link set lo up");
  }
  PeerNamespace(const PeerNamespace&) = delete;
  PeerNamespace& operator=(const PeerNamespace&) = delete;
  ~PeerNamespace() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

  std::string run(const std::string& command) const {
    return sh("nsenter -t " + std::to_string(child_) + " -n " + command);
  }
  void set_sysctl(const std::string& path, const std::string& value) const {
    run("sh -c 'echo " + value + " > /proc/sys/net/" + path + "'");
  }

  /// A veth pair: `ours` stays here, `theirs` goes there. Both are up, without DAD.
  void connect(const std::string& ours, const std::string& theirs) const {
    sh("ip link add " + ours + " type veth peer name " + theirs);
    sh("ip link set " + theirs + " netns " + std::to_string(child_));
    test::set_sysctl("ipv6/conf/" + ours + "/accept_dad", "0");
    set_sysctl("ipv6/conf/" + theirs + "/accept_dad", "0");
    sh("ip link set " + ours + " up");
    run("ip link set " + theirs + " up");
  }

 private:
  pid_t child_ = -1;
};

/// Every test gets a namespace of its own, with lo up.
class NetNamespaceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    sh("ip link set lo up");
  }
};

}  // namespace sluice::ctrl::test

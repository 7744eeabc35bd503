// Generations on the disk: whole or not there, whatever happens meanwhile.
#include "ctrl/control/state_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <iostream>
#include <random>
#include <thread>

#include "ctrl/control/whole_file.h"

namespace sluice::ctrl {
namespace {

class StateStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sluice-state-test-XXXXXX";
    directory_ = ::mkdtemp(name);
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  static Generation generation(uint64_t number, std::string text = "text") {
    Generation made;
    made.number = number;
    made.time = "2026-01-01T00:00:00.000Z";
    made.author = {.user = "alice", .uid = 1000, .pid = 0};
    made.verb = "weight";
    made.reason = "why not: \"quotes\", \n newlines and \xc3\xa4";
    made.file = "edge.toml";
    made.text = std::move(text);
    made.overlay.weights["orders"][3]["v2"] = 5;
    made.overlay.drained["v1"] = {parse_endpoint("10.0.0.1:80").value(),
                                  parse_endpoint("[fd00::1]:81").value()};
    made.overlay.drained["v0"] = {};
    made.changes = {"one", "two"};
    return made;
  }

  std::filesystem::path file_of(uint64_t number) const {
    return directory_ / "generations" / fmt_number(number);
  }
  static std::string fmt_number(uint64_t number) {
    std::string digits = std::to_string(number);
    return std::string(12 - digits.size(), '0') + digits + ".json";
  }

  std::filesystem::path directory_;
};

TEST_F(StateStoreTest, GenerationComesBackAsItWas) {
  {
    StateStore store = StateStore::open(directory_).value();
    EXPECT_FALSE(store.load_newest().newest);
    EXPECT_EQ(store.next_number(), 1u);
    ASSERT_TRUE(store.commit(generation(1)));
    ASSERT_TRUE(store.commit(generation(2, "second")));
  }
  StateStore store = StateStore::open(directory_).value();
  const StateStore::Loaded loaded = store.load_newest();
  ASSERT_TRUE(loaded.newest);
  EXPECT_TRUE(loaded.skipped.empty());
  const Generation expected = generation(2, "second");
  EXPECT_EQ(loaded.newest->number, 2u);
  EXPECT_EQ(loaded.newest->text, expected.text);
  EXPECT_EQ(loaded.newest->overlay, expected.overlay);
  EXPECT_EQ(loaded.newest->reason, expected.reason);
  EXPECT_EQ(loaded.newest->changes, expected.changes);
  EXPECT_EQ(loaded.newest->author.user, "alice");
  EXPECT_EQ(loaded.newest->author.uid, 1000u);
  EXPECT_EQ(store.next_number(), 3u);
}

TEST_F(StateStoreTest, UnfinishedFilesAreRemoved) {
  {
    ASSERT_TRUE(StateStore::open(directory_).value().commit(generation(1)));
  }
  const auto torn = directory_ / "generations/000000000002.json.tmp";
  std::ofstream(torn) << "{\"checksum\":";
  StateStore store = StateStore::open(directory_).value();
  EXPECT_EQ(store.load_newest().newest->number, 1u);
  EXPECT_FALSE(std::filesystem::exists(torn));
}

// Every prefix and every flipped byte of a generation file is noticed; the one before is served,
// and the number of the corrupt one is not used again.
TEST_F(StateStoreTest, CorruptFileIsSkippedWithAClearLine) {
  {
    StateStore store = StateStore::open(directory_).value();
    ASSERT_TRUE(store.commit(generation(1)));
    ASSERT_TRUE(store.commit(generation(2)));
  }
  const std::string whole = read_whole_file(file_of(2), 1 << 20).value();
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  for (int i = 0; i < 300; i++) {
    std::string broken = whole;
    const size_t at = random() % (whole.size() - 1);
    if (i % 2 == 0) {
      broken.resize(at);
    } else {
      broken[at] = static_cast<char>(broken[at] ^ (1 << (random() % 8)));
    }
    std::ofstream(file_of(2), std::ios::binary | std::ios::trunc) << broken;
    StateStore store = StateStore::open(directory_).value();
    const StateStore::Loaded loaded = store.load_newest();
    ASSERT_TRUE(loaded.newest);
    if (loaded.newest->number == 2) {
      // A flip that JSON does not see, such as in an escape's letter case, changes nothing.
      EXPECT_EQ(loaded.newest->text, "text");
      continue;
    }
    EXPECT_EQ(loaded.newest->number, 1u);
    ASSERT_EQ(loaded.skipped.size(), 1u);
    EXPECT_TRUE(
        loaded.skipped[0].starts_with("generation file " + file_of(2).string() + " is corrupt: "))
        << loaded.skipped[0];
    EXPECT_EQ(store.next_number(), 3u);
  }
}

TEST_F(StateStoreTest, FileUnderAnotherNumberIsCorrupt) {
  {
    ASSERT_TRUE(StateStore::open(directory_).value().commit(generation(1)));
  }
  std::filesystem::copy(file_of(1), file_of(9));
  const auto loaded = StateStore::open(directory_).value().load_newest();
  EXPECT_EQ(loaded.newest->number, 1u);
  EXPECT_EQ(loaded.skipped.size(), 1u);
}

TEST_F(StateStoreTest, OneHolderAtATime) {
  StateStore store = StateStore::open(directory_).value();
  const auto second = StateStore::open(directory_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "state directory " + directory_.string() +
                                        " is in use by another sluiced (pid " +
                                        std::to_string(::getpid()) + ")");
}

TEST_F(StateStoreTest, HashKeyIsDrawnOnceAndPrivate) {
  HashKey key;
  {
    StateStore store = StateStore::open(directory_).value();
    key = store.hash_key().value();
    EXPECT_NE(key, HashKey{});
  }
  struct stat found{};
  ASSERT_EQ(::stat((directory_ / "hash_key").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  StateStore store = StateStore::open(directory_).value();
  EXPECT_EQ(store.hash_key().value(), key);
  std::ofstream(directory_ / "hash_key") << "not a key\n";
  EXPECT_FALSE(store.hash_key()) << "a damaged key is never silently replaced";
}

TEST_F(StateStoreTest, ProofsAreReplaced) {
  StateStore store = StateStore::open(directory_).value();
  EXPECT_TRUE(store.load_proof(1).is_null());
  ASSERT_TRUE(store.save_proof(1, {{"verdict", "draining"}}));
  ASSERT_TRUE(store.save_proof(1, {{"verdict", "proved"}}));
  EXPECT_EQ(store.load_proof(1).at("verdict"), "proved");
  std::ofstream(directory_ / "proofs/000000000001.json") << "{";
  EXPECT_TRUE(store.load_proof(1).is_null());
}

// Killed at any moment, a store reopens with a whole generation, and with every generation whose
// commit had returned: the child reports each one through a pipe before it goes on.
TEST_F(StateStoreTest, KilledDuringCommitsLosesNothingAcknowledged) {
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  uint64_t acknowledged = 0;
  for (int round = 0; round < 40; round++) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      StateStore store = StateStore::open(directory_).value();
      const std::string text(20'000, 'x');
      for (;;) {
        const uint64_t number = store.next_number();
        if (!store.commit(generation(number, text))) ::_exit(1);
        if (::write(pipe_ends[1], &number, sizeof(number)) != sizeof(number)) ::_exit(2);
      }
    }
    ::close(pipe_ends[1]);
    uint64_t number = 0;
    for (unsigned commits = random() % 30 + 1; commits > 0; commits--) {
      ASSERT_EQ(::read(pipe_ends[0], &number, sizeof(number)), ssize_t(sizeof(number)));
      acknowledged = number;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed by itself: " << status;
    while (::read(pipe_ends[0], &number, sizeof(number)) == ssize_t(sizeof(number))) {
      acknowledged = number;
    }
    ::close(pipe_ends[0]);
    const auto loaded = StateStore::open(directory_).value().load_newest();
    ASSERT_TRUE(loaded.newest);
    EXPECT_TRUE(loaded.skipped.empty());
    EXPECT_GE(loaded.newest->number, acknowledged);
    EXPECT_LE(loaded.newest->number, acknowledged + 1);
    EXPECT_EQ(loaded.newest->text.size(), 20'000u);
  }
  std::cout << acknowledged << " generations\n";
}

TEST_F(StateStoreTest, FileSizeLimitRefusesTheChange) {
  StateStore store = StateStore::open(directory_).value();
  ASSERT_TRUE(store.commit(generation(1)));
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ::getrlimit(RLIMIT_FSIZE, &old_limit);
  rlimit limit = old_limit;
  limit.rlim_cur = 10'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const Status refused = store.commit(generation(2, std::string(100'000, 'x')));
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "generation 2 could not be stored (cannot write " + file_of(2).string() +
                ".tmp: File too large); the change is refused and traffic is as before");
  EXPECT_EQ(store.load_newest().newest->number, 1u);
  EXPECT_EQ(store.next_number(), 2u);
  EXPECT_TRUE(store.commit(generation(2)));
}

/// A full disk of its own, in a mount namespace of the child's own.
int commit_on_a_full_disk(const std::filesystem::path& directory, int report) {
  if (::unshare(CLONE_NEWNS) != 0) return 77;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
  if (::mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=256k") != 0) return 77;
  StateStore store = StateStore::open(directory).value();
  Generation made;
  made.verb = "apply";
  std::string message;
  for (uint64_t number = 1; number < 100; number++) {
    made.number = number;
    made.text.assign(30'000, 'x');
    if (const Status done = store.commit(made); !done) {
      message = done.error().message;
      break;
    }
  }
  const uint64_t newest = store.load_newest().newest->number;
  if (newest + 1 != store.next_number()) return 1;
  message = std::to_string(newest) + " " + message;
  return ::write(report, message.data(), message.size()) == ssize_t(message.size()) ? 0 : 2;
}

TEST_F(StateStoreTest, FullDiskRefusesTheChange) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root for a mount namespace";
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(commit_on_a_full_disk(directory_, pipe_ends[1]));
  ::close(pipe_ends[1]);
  char text[4096] = {};
  const ssize_t got = ::read(pipe_ends[0], text, sizeof(text) - 1);
  ::close(pipe_ends[0]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no mount namespace here";
  ASSERT_EQ(WEXITSTATUS(status), 0);
  ASSERT_GT(got, 0);
  const std::string message = text;
  EXPECT_NE(message.find("No space left on device"), std::string::npos) << message;
  EXPECT_TRUE(message.ends_with("; the change is refused and traffic is as before")) << message;
}

}  // namespace
}  // namespace sluice::ctrl

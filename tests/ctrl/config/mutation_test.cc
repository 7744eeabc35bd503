// parse_config() survives whatever bytes come in. Mutations of the examples and of hostile pieces,
// from a seed that is printed; SLUICE_SEED and SLUICE_ROUNDS choose another run.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "ctrl/config/config.h"
#include "ctrl/config/reader.h"

namespace sluice::ctrl {
namespace {

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

// What an error must be, whatever the input was: in order, placed, one printable line.
void check(const ParseOutcome& outcome) {
  EXPECT_LE(outcome.errors.size(), config_errors_max + 1);
  const ConfigError* previous = nullptr;
  for (const ConfigError& error : outcome.errors) {
    EXPECT_EQ(error.file, "mutant.toml");
    EXPECT_FALSE(error.message.empty());
    EXPECT_EQ(error.line == 0, error.column == 0);
    for (const unsigned char c : to_string(error)) ASSERT_GE(c, 0x20) << to_string(error);
    if (previous && previous->line != 0 && error.line != 0) {
      EXPECT_LE(std::pair(previous->line, previous->column), std::pair(error.line, error.column));
    }
    previous = &error;
  }
}

const std::vector<std::string>& seeds() {
  static const std::vector<std::string> texts = [] {
    std::vector<std::string> result;
    for (const auto& file : std::filesystem::directory_iterator(SLUICE_SOURCE_ROOT "/configs")) {
      if (file.path().extension() != ".toml") continue;
      std::ostringstream text;
      text << std::ifstream(file.path()).rdbuf();
      result.push_back(text.str());
    }
    std::ranges::sort(result);
    return result;
  }();
  return texts;
}

constexpr std::array<std::string_view, 26> pieces = {"[",
                                                     "]",
                                                     "[[",
                                                     "]]",
                                                     "{",
                                                     "}",
                                                     "=",
                                                     ",",
                                                     ".",
                                                     "\"",
                                                     "'",
                                                     "\"\"\"",
                                                     "'''",
                                                     "#",
                                                     "\n",
                                                     "\r",
                                                     "-9223372036854775808",
                                                     "9223372036854775807",
                                                     "nan",
                                                     "-inf",
                                                     "1979-05-27T07:32:00Z",
                                                     "0x7f",
                                                     "\xff",
                                                     "\xf0\x9f\x98\x80",
                                                     "\\u0000",
                                                     "[[route.rule]]"};

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::string next() {
    std::string text = seeds()[below(seeds().size())];
    for (uint64_t edits = 1 + below(8); edits > 0; --edits) edit(text);
    return text;
  }

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }

  void edit(std::string& text) {
    const size_t at = below(text.size() + 1);
    const size_t length = std::min<size_t>(below(40), text.size() - at);
    switch (below(6)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, pieces[below(pieces.size())]);
        break;
      case 2:
        text.insert(at, 1, static_cast<char>(below(256)));
        break;
      case 3:
        text.insert(below(text.size() + 1), text.substr(at, length));
        break;
      case 4: {
        const std::string& other = seeds()[below(seeds().size())];
        text.insert(at, other.substr(below(other.size()), below(200)));
        break;
      }
      default:
        if (at < text.size()) text[at] ^= 1 << below(8);
    }
  }

  std::mt19937_64 random_;
};

TEST(Mutation, ParsesOrRefusesAndNeverFails) {
  const uint64_t seed = from_environment("SLUICE_SEED", std::random_device{}());
  const uint64_t rounds = from_environment("SLUICE_ROUNDS", 3'000);
  std::printf("SLUICE_SEED=%lu SLUICE_ROUNDS=%lu\n", seed, rounds);
  Mutator mutator(seed);
  size_t good = 0;
  for (uint64_t round = 0; round < rounds; ++round) {
    const std::string text = mutator.next();
    const ParseOutcome outcome = parse_config(text, "mutant.toml");
    check(outcome);
    good += outcome.errors.empty();
    ASSERT_FALSE(HasFailure()) << "round " << round << "\n" << text;
  }
  std::printf("%zu of the mutants are good\n", good);
}

std::string repeat(std::string_view piece, size_t times) {
  std::string text;
  text.reserve(piece.size() * times);
  for (size_t i = 0; i < times; ++i) text += piece;
  return text;
}

std::string only_message(std::string_view text) {
  const ParseOutcome outcome = parse_config(text, "mutant.toml");
  check(outcome);
  return outcome.errors.size() == 1 ? to_string(outcome.errors[0]) : "";
}

TEST(Hostile, TooLarge) {
  EXPECT_EQ(only_message(std::string((4u << 20) + 1, '#')),
            "mutant.toml: the file has 4194305 bytes, at most 4194304 are read");
}

TEST(Hostile, NulBytes) {
  EXPECT_TRUE(only_message(std::string(1000, '\0')).starts_with("mutant.toml:1:1: syntax error"));
  EXPECT_TRUE(only_message(std::string("a = \"x\0y\"", 9)).starts_with("mutant.toml:1:"));
}

TEST(Hostile, DeepNesting) {
  EXPECT_FALSE(only_message("a = " + repeat("[", 1'000'000)).empty());
  EXPECT_FALSE(only_message("a = " + repeat("{a=", 1'000'000)).empty());
  EXPECT_EQ(only_message(repeat("a.", 1'000'000) + "a = 1"),
            "mutant.toml:1:1: a key has at most 8 parts between dots");
  EXPECT_EQ(only_message("[" + repeat("a.", 1'000'000) + "a]"),
            "mutant.toml:1:2: a key has at most 8 parts between dots");
  EXPECT_EQ(only_message("x = { s = \"\", " + repeat("\"a\" . ", 500'000) + "a = 1 }"),
            "mutant.toml:1:15: a key has at most 8 parts between dots");
}

TEST(Hostile, ManyMistakesAreCountedNotKept) {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += "k" + std::to_string(i) + " = 1\n";
  const ParseOutcome outcome = parse_config(text, "mutant.toml");
  check(outcome);
  ASSERT_EQ(outcome.errors.size(), config_errors_max + 1);
  EXPECT_EQ(to_string(outcome.errors.back()), "mutant.toml: and 199001 more mistakes");
}

TEST(Hostile, ManyUndefinedReferences) {
  std::string text = "[[port]]\nname = 'p'\ndevice = 'null'\n";
  for (int i = 0; i < 250; ++i) {
    text += "[[pool]]\nname = 'pool-" + std::to_string(i) + std::string(50, 'x') +
            "'\nbackends = [{ address = '10.0.0.1', port = 1 }]\n";
  }
  text += "[[route]]\nname = 'r'\nlisteners = ['l']\n";
  for (int i = 0; i < 1000; ++i) {
    text += "[[route.rule]]\nmatches = [{ source = '10.0.0.0/8' }]\nbackends = [{ pool = 'pool-" +
            std::string(50, 'y') + "' }]\n";
  }
  check(parse_config(text, "mutant.toml"));
}

TEST(Hostile, AFileNameOfAnyBytes) {
  const ParseOutcome outcome = parse_config("x", std::string_view("a\nb\0c", 5));
  ASSERT_FALSE(outcome.errors.empty());
  EXPECT_EQ(outcome.errors[0].file, "a\\nb\\x00c");
}

TEST(Hostile, TheLargestConfigurationParses) {
  std::string text = "[[port]]\nname = 'p'\ndevice = 'null'\n";
  for (int pool = 0; pool < 257; ++pool) {
    text += "[[pool]]\nname = 'p" + std::to_string(pool) + "'\nbackends = [\n";
    for (int i = 0; i < 255; ++i) {
      text += "{ address = '10.0." + std::to_string(pool % 256) + "." + std::to_string(i) +
              "', port = " + std::to_string(1 + pool / 256) + " },\n";
    }
    text += "]\n";
  }
  const ParseOutcome outcome = parse_config(text, "mutant.toml");
  check(outcome);
  EXPECT_TRUE(outcome.errors.empty());
  EXPECT_EQ(outcome.config.pools.size(), 257u);
  text += "[[pool]]\nname = 'one-more'\nbackends = [{ address = '10.1.0.1', port = 1 }]\n";
  EXPECT_EQ(only_message(text),
            "mutant.toml: pool: the pools hold 65536 backends, at most 65535 are possible");
}

}  // namespace
}  // namespace sluice::ctrl

// Arguments: "--name value" pairs of a test tool. A tool is started by a test, so a mistake here is
// a mistake in the test: it ends the tool with exit code 2 and one line.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::e2e {

class Arguments {
 public:
  Arguments(int count, char** values) : program_(values[0]) {
    for (int i = 1; i < count; i += 2) {
      const std::string_view name = values[i];
      if (!name.starts_with("--") || i + 1 >= count) {
        fail("expected --name value, got \"" + std::string(name) + "\"");
      }
      values_[std::string(name.substr(2))] = values[i + 1];
    }
  }

  /// The value of --name; without a fallback the argument is required.
  std::string text(const std::string& name, const char* fallback = nullptr) const {
    const auto found = values_.find(name);
    if (found != values_.end()) return found->second;
    if (fallback == nullptr) fail("--" + name + " is missing");
    return fallback;
  }

  uint64_t number(const std::string& name, const char* fallback = nullptr) const {
    const std::string value = text(name, fallback);
    char* end = nullptr;
    const uint64_t parsed = std::strtoull(value.c_str(), &end, 10);
    if (value.empty() || *end != '\0') fail("--" + name + ": not a number: " + value);
    return parsed;
  }

  /// Comma-separated values; empty text gives no element.
  std::vector<std::string> list(const std::string& name, const char* fallback = nullptr) const {
    std::vector<std::string> parts;
    const std::string value = text(name, fallback);
    size_t begin = 0;
    while (begin < value.size()) {
      const size_t comma = std::min(value.find(',', begin), value.size());
      parts.push_back(value.substr(begin, comma - begin));
      begin = comma + 1;
    }
    return parts;
  }

  [[noreturn]] void fail(const std::string& why) const {
    std::fprintf(stderr, "%s: %s\n", program_.c_str(), why.c_str());
    std::exit(2);
  }

 private:
  std::string program_;
  std::map<std::string, std::string> values_;
};

}  // namespace sluice::e2e

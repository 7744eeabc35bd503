#include "perf/line_server.h"

#include <poll.h>
#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

namespace sluice::perf {

void serve_lines(int idle_ms, const std::function<void()>& idle,
                 const std::function<nlohmann::json(const std::string& line)>& answer) {
  std::string input;
  for (;;) {
    pollfd waiting{STDIN_FILENO, POLLIN, 0};
    const int ready = poll(&waiting, 1, idle_ms);
    idle();
    if (ready <= 0) continue;
    char bytes[256];
    const ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (got <= 0) return;
    input.append(bytes, static_cast<size_t>(got));
    for (size_t end = 0; (end = input.find('\n')) != std::string::npos;) {
      const std::string line = input.substr(0, end);
      input.erase(0, end + 1);
      if (line == "quit") return;
      std::cout << answer(line) << std::endl;
    }
  }
}

}  // namespace sluice::perf

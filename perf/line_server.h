// Commands on standard input, one line each; answers on standard output, one line of JSON each.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sluice::perf {

/// Serves until "quit" or the end of the input. `idle` is called every `idle_ms` at least, and
/// before each command; -1: never.
void serve_lines(int idle_ms, const std::function<void()>& idle,
                 const std::function<nlohmann::json(const std::string& line)>& answer);

}  // namespace sluice::perf

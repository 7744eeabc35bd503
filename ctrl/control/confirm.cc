#include "ctrl/control/confirm.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>

namespace sluice::ctrl {

uint64_t remaining_ms(const Confirm& confirm, uint64_t unix_ms) {
  if (unix_ms <= confirm.asked_unix_ms) return confirm.within_ms;
  const uint64_t passed = unix_ms - confirm.asked_unix_ms;
  return passed >= confirm.within_ms ? 0 : confirm.within_ms - passed;
}

Json to_json(const Confirm& confirm) {
  return {{"generation", confirm.generation},  {"back_to", confirm.back_to},
          {"asked_ms", confirm.asked_unix_ms}, {"within_ms", confirm.within_ms},
          {"existing", confirm.existing},      {"drain_ms", confirm.drain_ms},
          {"routes", confirm.routes}};
}

Confirm confirm_from_json(const Json& json) {
  static constexpr std::array<std::string_view, 3> words = {"keep", "drain", "reset"};
  const auto word = std::ranges::find(words, json.at("existing").get_ref<const std::string&>());
  if (word == words.end()) throw std::runtime_error("confirm: existing is no known word");
  return {.generation = json.at("generation").get<uint64_t>(),
          .back_to = json.at("back_to").get<uint64_t>(),
          .asked_unix_ms = json.at("asked_ms").get<uint64_t>(),
          .within_ms = json.at("within_ms").get<uint64_t>(),
          .existing = *word,
          .drain_ms = json.at("drain_ms").get<uint64_t>(),
          // A record of before there were roles names none.
          .routes = json.value("routes", std::set<std::string>{})};
}

uint64_t unix_ms_now() {
  using namespace std::chrono;
  return static_cast<uint64_t>(
      duration_cast<std::chrono::milliseconds>(system_clock::now().time_since_epoch()).count());
}

std::string wall_time(uint64_t unix_ms) {
  const auto seconds = std::chrono::sys_seconds(std::chrono::seconds(unix_ms / 1000));
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), unix_ms % 1000);
}

}  // namespace sluice::ctrl

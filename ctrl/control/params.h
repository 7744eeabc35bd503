// Params: typed reading of a request's parameters. The first thing that is wrong is kept and the
// reading goes on with defaults; finish() tells it, or that a parameter is unknown. ctrl thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "ctrl/control/controller.h"
#include "ctrl/control/rpc.h"

namespace sluice::ctrl {

class Params {
 public:
  /// `object` is a JSON object and outlives the Params.
  explicit Params(const Json& object) : object_(object) {}

  std::string text(const char* key);  // required
  std::string text_or(const char* key, std::string_view fallback);
  uint64_t number_or(const char* key, uint64_t fallback, uint64_t at_most);
  std::optional<uint64_t> maybe_number(const char* key);
  bool flag(const char* key);
  /// A required object of names to integers 0..at_most.
  std::map<std::string, uint32_t> numbers(const char* key, uint32_t at_most);
  /// An array of strings; empty when it is missing.
  std::vector<std::string> names(const char* key);
  /// reason, break_glass, wait_ms, existing, drain_ms, expect_generation, dry_run,
  /// confirm_within_ms.
  ChangeOptions change_options(const Author& author);
  /// Why, of at most reason_bytes_max bytes.
  std::string reason();

  /// Something read was missing or of the wrong kind, or there is a parameter that nobody read.
  std::optional<RpcError> finish();

 private:
  const Json* find(const char* key);
  void wrong(const char* key, std::string message);

  const Json& object_;
  std::set<std::string_view> known_;
  std::optional<RpcError> error_;
};

inline constexpr size_t reason_bytes_max = 4096;
inline constexpr uint64_t wait_ms_max = 3'600'000;
inline constexpr uint64_t drain_ms_max = 86'400'000;

}  // namespace sluice::ctrl

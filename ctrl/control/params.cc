#include "ctrl/control/params.h"

#include <fmt/format.h>

#include "ctrl/govern/diff_hash.h"

namespace sluice::ctrl {

namespace {

/// An integer from 0 on, however it is stored.
std::optional<uint64_t> natural(const Json& value) {
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  if (value.is_number_integer() && value.get<int64_t>() >= 0) return value.get<uint64_t>();
  return std::nullopt;
}

}  // namespace

const Json* Params::find(const char* key) {
  known_.insert(key);
  const auto at = object_.find(key);
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

void Params::wrong(const char* key, std::string message) {
  if (error_) return;
  error_ = RpcError{rpc_bad_params, fmt::format("{} {}", key, message), {{"key", key}}};
}

std::string Params::text(const char* key) {
  const Json* value = find(key);
  if (value == nullptr) {
    wrong(key, "is missing");
  } else if (!value->is_string()) {
    wrong(key, "must be a string");
  } else {
    return value->get<std::string>();
  }
  return {};
}

std::string Params::text_or(const char* key, std::string_view fallback) {
  return find(key) == nullptr ? std::string(fallback) : text(key);
}

uint64_t Params::number_or(const char* key, uint64_t fallback, uint64_t at_most) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  const auto number = natural(*value);
  if (number && *number <= at_most) return *number;
  wrong(key, fmt::format("must be an integer 0..{}", at_most));
  return fallback;
}

std::optional<uint64_t> Params::maybe_number(const char* key) {
  if (find(key) == nullptr) return std::nullopt;
  return number_or(key, 0, ~0ull);
}

bool Params::flag(const char* key) {
  const Json* value = find(key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) wrong(key, "must be true or false");
  return value->is_boolean() && value->get<bool>();
}

std::map<std::string, uint32_t> Params::numbers(const char* key, uint32_t at_most) {
  std::map<std::string, uint32_t> numbers;
  const Json* value = find(key);
  if (value == nullptr) {
    wrong(key, "is missing");
    return numbers;
  }
  if (!value->is_object() || value->empty()) {
    wrong(key, "must be an object with at least one entry");
    return numbers;
  }
  for (const auto& [name, number] : value->items()) {
    const auto read = natural(number);
    if (read && *read <= at_most) {
      numbers[name] = static_cast<uint32_t>(*read);
    } else {
      wrong(key,
            fmt::format("must hold integers 0..{}, but {} is {}", at_most, name, to_line(number)));
    }
  }
  return numbers;
}

std::vector<std::string> Params::names(const char* key) {
  std::vector<std::string> names;
  const Json* value = find(key);
  if (value == nullptr) return names;
  for (const Json& name : value->is_array() ? *value : Json::array({nullptr})) {
    if (name.is_string()) {
      names.push_back(name.get<std::string>());
    } else {
      wrong(key, "must be an array of strings");
    }
  }
  return names;
}

std::string Params::reason() {
  std::string reason = text_or("reason", "");
  if (reason.size() > reason_bytes_max) {
    wrong("reason", fmt::format("must have at most {} bytes", reason_bytes_max));
  }
  return reason;
}

ChangeOptions Params::change_options(const Author& author) {
  ChangeOptions options;
  options.author = author;
  options.intent = intent_of(object_);
  options.reason = reason();
  options.wait_ms = number_or("wait_ms", options.wait_ms, wait_ms_max);
  options.drain_ms = number_or("drain_ms", options.drain_ms, drain_ms_max);
  options.expect_generation = maybe_number("expect_generation");
  options.dry_run = flag("dry_run");
  options.break_glass = flag("break_glass");
  options.confirm_within_ms = maybe_number("confirm_within_ms");
  if (options.confirm_within_ms && (*options.confirm_within_ms < confirm_within_ms_min ||
                                    *options.confirm_within_ms > confirm_within_ms_max)) {
    wrong("confirm_within_ms",
          fmt::format("must be an integer {}..{}", confirm_within_ms_min, confirm_within_ms_max));
  }
  const std::string existing = text_or("existing", "keep");
  if (existing == "drain") {
    options.existing = Existing::drain;
  } else if (existing == "reset") {
    options.existing = Existing::reset;
  } else if (existing != "keep") {
    wrong("existing", "must be \"keep\", \"drain\" or \"reset\"");
  }
  return options;
}

std::optional<RpcError> Params::finish() {
  if (error_) return error_;
  for (const auto& [key, value] : object_.items()) {
    if (known_.contains(key)) continue;
    return RpcError{
        rpc_bad_params, fmt::format("{} is not a parameter of this method", key), {{"key", key}}};
  }
  return std::nullopt;
}

}  // namespace sluice::ctrl

#include "ctrl/govern/diff_hash.h"

#include "ctrl/audit/sha256.h"

namespace sluice::ctrl {
namespace {

using nlohmann::json;

constexpr size_t intent_bytes_max = 64 * 1024;

std::string bytes_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

json intent_of(const json& params) {
  json intent = json::object();
  for (const auto& [key, value] : params.items()) {
    if (key == "reason" || key == "wait_ms" || key == "dry_run" || key == "expect_generation" ||
        key == "break_glass") {
      continue;
    }
    if (key == "text" && value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      intent["text_sha256"] = sha256_hex(text);
      intent["text_bytes"] = text.size();
    } else {
      intent[key] = value;
    }
  }
  const std::string bytes = bytes_of(intent);
  if (bytes.size() <= intent_bytes_max) return intent;
  return {{"sha256", sha256_hex(bytes)}, {"bytes", bytes.size()}};
}

std::string diff_hash(std::string_view verb, const json& intent,
                      const std::vector<std::string>& diff) {
  std::string bytes = std::string(verb) + "\n" + bytes_of(intent) + "\n";
  for (const std::string& line : diff) bytes += line + "\n";
  return sha256_hex(bytes);
}

}  // namespace sluice::ctrl

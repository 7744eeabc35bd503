#include "ctrl/control/generation.h"

#include <fmt/format.h>

#include <charconv>

#include "dataplane/base/hash.h"

namespace sluice::ctrl {
namespace {

std::string checksum(const Json& body) {
  // The key is public: this is a checksum, not a signature.
  const std::string bytes = to_line(body);
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  return fmt::format("{:016x}", siphash24(HashKey{}, {data, bytes.size()}));
}

Json to_json(const Generation& generation) {
  Json json = {{"number", generation.number},
               {"time", generation.time},
               {"author", generation.author.user},
               {"uid", generation.author.uid},
               {"verb", generation.verb},
               {"reason", generation.reason},
               {"file", generation.file},
               {"text", generation.text},
               {"overlay", to_json(generation.overlay)},
               {"holders", to_json(generation.holders)},
               {"changes", generation.changes}};
  if (generation.confirm) json["confirm"] = to_json(*generation.confirm);
  return json;
}

Result<uint32_t> rule_index(const std::string& text) {
  uint32_t rule = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rule);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return fail(fmt::format("overlay: \"{}\" is no rule index", text));
  }
  return rule;
}

}  // namespace

Json to_json(const Overlay& overlay) {
  Json weights = Json::object();
  for (const auto& [route, rules] : overlay.weights) {
    for (const auto& [rule, pools] : rules) {
      for (const auto& [pool, weight] : pools) weights[route][std::to_string(rule)][pool] = weight;
    }
  }
  Json drained = Json::object();
  for (const auto& [pool, endpoints] : overlay.drained) {
    Json list = Json::array();
    for (const Endpoint& endpoint : endpoints) list.push_back(to_string(endpoint));
    drained[pool] = std::move(list);
  }
  return {{"weights", std::move(weights)}, {"drained", std::move(drained)}};
}

Result<Overlay> overlay_from_json(const Json& json) {
  Overlay overlay;
  for (const auto& [route, rules] : json.at("weights").items()) {
    for (const auto& [rule, pools] : rules.items()) {
      auto index = rule_index(rule);
      if (!index) return std::unexpected(index.error());
      for (const auto& [pool, weight] : pools.items()) {
        overlay.weights[route][*index][pool] = weight.get<uint32_t>();
      }
    }
  }
  for (const auto& [pool, endpoints] : json.at("drained").items()) {
    auto& list = overlay.drained[pool];
    for (const Json& text : endpoints) {
      auto endpoint = parse_endpoint(text.get_ref<const std::string&>());
      if (!endpoint) return std::unexpected(endpoint.error());
      list.push_back(*endpoint);
    }
  }
  return overlay;
}

std::string encode_generation(const Generation& generation) {
  const Json body = to_json(generation);
  return to_line({{"checksum", checksum(body)}, {"generation", body}}) + "\n";
}

Result<Generation> decode_generation(std::string_view bytes) try {
  const Json file = Json::parse(bytes);
  const Json& body = file.at("generation");
  if (file.at("checksum").get_ref<const std::string&>() != checksum(body)) {
    return fail("its checksum does not match its content");
  }
  Generation generation;
  generation.number = body.at("number").get<uint64_t>();
  generation.time = body.at("time").get<std::string>();
  generation.author.user = body.at("author").get<std::string>();
  generation.author.uid = body.at("uid").get<uint32_t>();
  generation.verb = body.at("verb").get<std::string>();
  generation.reason = body.at("reason").get<std::string>();
  generation.file = body.at("file").get<std::string>();
  generation.text = body.at("text").get<std::string>();
  generation.changes = body.at("changes").get<std::vector<std::string>>();
  if (body.contains("confirm")) generation.confirm = confirm_from_json(body.at("confirm"));
  auto overlay = overlay_from_json(body.at("overlay"));
  if (!overlay) return std::unexpected(overlay.error());
  generation.overlay = std::move(*overlay);
  // Generations of earlier versions have none: their fields are "an operator's".
  if (body.contains("holders")) generation.holders = holders_from_json(body["holders"]);
  return generation;
} catch (const Json::exception&) {
  return fail("it is torn or is no generation file");
}

std::string wall_time_now() { return wall_time(unix_ms_now()); }

}  // namespace sluice::ctrl
